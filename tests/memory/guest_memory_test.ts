/**
 * Guest RAM that is all good. What holes do to it is tested with the faults.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { SystemError } from "../../ffi/libc.ts";
import { DisposedError } from "../../src/kvm/descriptor.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import { GuestMemory, GuestMemoryError } from "../../src/memory/guest_memory.ts";
import { realModeSegment } from "../../src/x86/segments.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values);
}

Deno.test("RAM is zero at first and keeps what is written, to its last byte", () => {
  using memory = new GuestMemory(MIB);
  assertEquals(memory.read(0n, MIB), new Uint8Array(MIB));
  memory.write(0x1000n, bytes(1, 2, 3));
  memory.write(BigInt(MIB - 1), bytes(4));
  assertEquals(memory.read(0xfffn, 5), bytes(0, 1, 2, 3, 0));
  assertEquals(memory.read(BigInt(MIB - 2), 2), bytes(0, 4));
});

Deno.test("what is read is a copy", () => {
  using memory = new GuestMemory(4096);
  const copy = memory.read(0n, 1);
  memory.write(0n, bytes(7));
  assertEquals(copy, bytes(0));
  copy[0] = 9;
  assertEquals(memory.read(0n, 1), bytes(7));
});

Deno.test("RAM above 4 GiB is other memory than that below", () => {
  using memory = new GuestMemory(5 * GIB);
  const places = [0n, 0xbfff_ffffn, 0x1_0000_0000n, 0x1_7fff_ffffn];
  places.forEach((gpa, i) => memory.write(gpa, bytes(i + 1)));
  assertEquals(places.map((gpa) => memory.read(gpa, 1)[0]), [1, 2, 3, 4]);
});

Deno.test("an access that is not all RAM is refused by where it is, and changes nothing", () => {
  using memory = new GuestMemory(5 * GIB);
  const outside = [
    [-1n, 1, "[0x-1, +0x1)"],
    [0xbfff_ffffn, 2, "[0xbfffffff, +0x2)"],
    [0xc000_0000n, 1, "[0xc0000000, +0x1)"],
    [0xffff_ffffn, 2, "[0xffffffff, +0x2)"],
    [0x1_8000_0000n, 1, "[0x180000000, +0x1)"],
    [(1n << 64n) - 1n, 2, "[0xffffffffffffffff, +0x2)"],
  ] as const;
  for (const [gpa, size, where] of outside) {
    const message = `${where} is not in usable guest RAM`;
    const read = assertThrows(() => memory.read(gpa, size), GuestMemoryError, `read: ${message}`);
    assertEquals([read.gpa, read.sizeBytes], [gpa, size]);
    const data = new Uint8Array(size).fill(1);
    assertThrows(() => memory.write(gpa, data), GuestMemoryError, `write: ${message}`);
  }
  assertEquals(memory.read(0xbfff_ffffn, 1), bytes(0));
});

Deno.test("an access of no bytes is possible wherever RAM is", () => {
  using memory = new GuestMemory(4096);
  assertEquals(memory.read(0n, 0).length, 0);
  memory.write(4096n, bytes());
});

Deno.test("RAM can be larger than the host's, since only what is touched takes room", () => {
  using memory = new GuestMemory(1024 * GIB);
  memory.write(0xff_0000_0000n, bytes(1));
  assertEquals(memory.read(0xff_0000_0000n, 1), bytes(1));
});

Deno.test("RAM that no host can address is a SystemError", () => {
  assertThrows(() => new GuestMemory(2 ** 52), SystemError, "mmap(0x10000000000000 bytes)");
});

Deno.test("disposed RAM is gone, and a second time does nothing", () => {
  const memory = new GuestMemory(MIB);
  memory[Symbol.dispose]();
  memory[Symbol.dispose]();
  assertThrows(() => memory.read(0n, 1), DisposedError);
  assertThrows(() => memory.write(0n, bytes(1)), DisposedError);
});

kvmTest("a guest and its VMM see the same RAM, below and above 4 GiB", () => {
  using kvm = Kvm.open();
  using memory = new GuestMemory(5 * GIB);
  using vm = kvm.createVm();
  memory.attach(vm);
  using vcpu = vm.createVcpu(0);
  // mov al, [0x5000]; inc al; mov [0x5001], al; hlt
  memory.write(0x1000n, code("a0 00 50 fe c0 a2 01 50 f4"));
  memory.write(0x5000n, bytes(0x41));
  const sregs = vcpu.sregs();
  sregs.cs = realModeSegment(0, "code");
  sregs.ds = realModeSegment(0);
  vcpu.setSregs(sregs);
  vcpu.setRegs({ rip: 0x1000n, rflags: 2n });
  assertEquals(vcpu.run(), RunResult.exit);
  assertEquals(memory.read(0x5000n, 2), bytes(0x41, 0x42));
  assertEquals(memory.slots.map(({ gpa }) => gpa), [0, 4 * GIB]);
  assert(memory.slots.every(({ kind }) => kind === "ram"));
});
