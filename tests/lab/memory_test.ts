/**
 * Guest memory of an experiment: integers and strings by GPA and by linear address.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { type AddressSpace, GuestMemoryError, Machine } from "../../src/mod.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

/** A machine in long mode, whose linear addresses are its GPAs. */
function machine(): Machine {
  const vm = Machine.create({ memory: "4M" });
  vm.load(code("f4"), { protocol: "flat64" });
  return vm;
}

/** Both ways to address a machine's memory. */
function spaces(vm: Machine): AddressSpace[] {
  return [vm.memory, vm.vcpu.memory];
}

kvmTest("integers are little-endian and may cross pages", () => {
  using vm = machine();
  for (const memory of spaces(vm)) {
    memory.setU8(0x1_0000, 0xff);
    memory.setU16(0x1_0001n, 0x1122);
    memory.setU32(0x1_1ffe, 0x8899_aabb);
    memory.setU64(0x1_2ffbn, 0x1122_3344_5566_7788n);
    assertEquals([memory.u8(0x1_0000n), memory.u16(0x1_0001)], [0xff, 0x1122]);
    assertEquals([memory.u32(0x1_1ffe), memory.u8(0x1_1ffe)], [0x8899_aabb, 0xbb]);
    assertEquals(memory.u64(0x1_2ffb), 0x1122_3344_5566_7788n);
    assertEquals(memory.read(0x1_0001, 2), code("22 11"));
  }
});

kvmTest("integers may be bigints, and negative", () => {
  using vm = machine();
  const { memory } = vm;
  memory.setU16(0x8000, -2);
  memory.setU32(0x8004, 7n);
  memory.setU64(0x8008, -1);
  assertEquals([memory.u16(0x8000), memory.u32(0x8004)], [0xfffe, 7]);
  assertEquals(memory.u64(0x8008), 0xffff_ffff_ffff_ffffn);
});

kvmTest("an integer that does not fit is refused", () => {
  using vm = machine();
  const { memory } = vm;
  for (const value of [256, -129, 1.5, NaN, 256n]) {
    assertThrows(() => memory.setU8(0x8000, value), RangeError, "not an integer of 8 bits");
  }
  assertThrows(() => memory.setU64(0x8000, 1n << 64n), RangeError, "64 bits");
});

kvmTest("C strings end with a NUL, and may cross pages", () => {
  using vm = machine();
  for (const memory of spaces(vm)) {
    const text = "ein längerer Text".repeat(300);
    memory.setCString(0x1_0ffe, text);
    assertEquals(memory.cString(0x1_0ffen, 8192), text);
    assertThrows(() => memory.cString(0x1_0ffe, 100), RangeError, "no NUL within 100 bytes of");
    assertEquals(memory.cString(0x9000), "");
  }
});

kvmTest("a C string may end where memory ends", () => {
  using vm = machine();
  vm.memory.setCString(0x3f_fffe, "x");
  assertEquals(vm.memory.cString(0x3f_fffe), "x");
  vm.memory.write(0x3f_fffe, code("78 78"));
  assertThrows(() => vm.memory.cString(0x3f_fffe), GuestMemoryError, "0x400000");
});

kvmTest("what is not memory, not an address or not a size is refused", () => {
  using vm = machine();
  for (const memory of spaces(vm)) {
    for (const at of [-1, 0.5, NaN, Infinity, -1n, 1n << 64n]) {
      assertThrows(() => memory.read(at, 1), RangeError, "is not an address");
      assertThrows(() => memory.write(at, code("00")), RangeError, "is not an address");
    }
    assertThrows(() => memory.u8(0xffff_ffff_8000_0000), RangeError, "write it as a bigint");
    for (const size of [-1, 0.5, NaN]) {
      assertThrows(() => memory.read(0, size), RangeError, "is not a size in bytes");
    }
  }
  assertThrows(() => vm.memory.u32(0x3f_fffe), GuestMemoryError);
  assertThrows(() => vm.memory.read(0, 2 ** 50), GuestMemoryError);
});
