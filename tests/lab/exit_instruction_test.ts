/**
 * The instruction of an exit, at its own RIP although KVM may be past it.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { type BootProtocol, type Exit, Machine } from "../../src/mod.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

const ENTRY = { flat16: 0x7c00n, flat32: 0x10_0000n, flat64: 0x10_0000n } as const;

/** Each exit's instruction and its offset in the guest, to the first HLT. */
function instructions(
  protocol: keyof typeof ENTRY & BootProtocol,
  listing: string,
): (readonly [number, string])[] {
  using vm = Machine.create({ memory: "2M" });
  vm.load(code(listing), { protocol });
  vm.onMsr(0x12345, { read: () => 1n });
  return Array.from(vm.exits({ timeoutMs: 5000 }), (exit) => {
    const seen = exit.instruction!;
    assertEquals(vm.memory.read(seen.gva, seen.bytes.length), seen.bytes);
    if (exit.reason === "IO" && exit.direction === "in") exit.answer(0);
    if (exit.reason === "MMIO" && exit.direction === "read") exit.answer(0);
    return [Number(seen.rip - ENTRY[protocol]), seen.text] as const;
  });
}

for (const protocol of ["flat16", "flat32", "flat64"] as const) {
  kvmTest(`${protocol}: port accesses, one after the other and of each size`, () => {
    const [eax, ax] = protocol === "flat16" ? ["66 ", ""] : ["", "66 "];
    assertEquals(
      instructions(
        protocol,
        `e6 10 e6 10 e6 10 e4 10 e4 10 e6 10 ${ax}e7 10 ${eax}e5 10 ec ee ee f4`,
      )
        .map(([, text]) => text),
      [
        ...["out 0x10, al", "out 0x10, al", "out 0x10, al", "in al, 0x10", "in al, 0x10"],
        ...[
          "out 0x10, al",
          "out 0x10, ax",
          "in eax, 0x10",
          "in al, dx",
          "out dx, al",
          "out dx, al",
        ],
        "hlt",
      ],
    );
    assertEquals(
      instructions(protocol, "e6 10 e6 10 e4 10 e6 10 f4").map(([at]) => at),
      [0, 2, 4, 6, 8],
    );
  });
}

kvmTest("bytes before an OUT that look like prefixes are not taken for its own", () => {
  // mov cl, 0xf3; out 0x10, al; mov cl, 0x66; out 0x10, al; hlt
  assertEquals(instructions("flat32", "b1 f3 e6 10 b1 66 e6 10 f4"), [
    [2, "out 0x10, al"],
    [6, "out 0x10, al"],
    [8, "hlt"],
  ]);
});

kvmTest("string OUT: each part is its own instruction's", () => {
  // mov al, 0x41; mov ecx, 3; mov dx, 0x10; out dx, al; rep outsb; rep outsb; outsb; outsb; hlt
  const listing = "b0 41 b9 03 00 00 00 66 ba 10 00 ee f3 6e f3 6e 6e 6e f4";
  const seen = instructions("flat32", listing);
  assertEquals(seen, [
    [11, "out dx, al"],
    ...Array(seen.length - 4).fill([12, "rep outsb"]),
    [16, "outsb"],
    [17, "outsb"],
    [18, "hlt"],
  ]);
});

kvmTest("MMIO: stores, loads, and both by one instruction", () => {
  // mov [0xd0000000], eax; mov eax, [0xd0000000]; add [0xd0000000], eax; push [0xd0000000]; hlt
  const seen = instructions(
    "flat32",
    "a3 00 00 00 d0 a1 00 00 00 d0 01 05 00 00 00 d0 ff 35 00 00 00 d0 f4",
  );
  assertEquals(seen, [
    [0, "mov [0xd0000000], eax"],
    [5, "mov eax, [0xd0000000]"],
    [10, "add [0xd0000000], eax"],
    [10, "add [0xd0000000], eax"],
    [16, "push dword [0xd0000000]"],
    [22, "hlt"],
  ]);
});

kvmTest("model-specific registers, and HLT behind HLT", () => {
  using vm = Machine.create({ memory: "2M" });
  vm.load(code("b9 45 23 01 00 0f 32 f4 f4"), { protocol: "flat32" });
  vm.onMsr(0x12345, { read: () => 1n });
  const seen: string[] = [];
  for (const exit of vm.exits({ timeoutMs: 5000 })) {
    seen.push(`${Number(exit.instruction!.rip) - 0x10_0000} ${exit.instruction!.text}`);
    if (exit.reason === "HLT" && seen.length < 3) exit.answer();
  }
  assertEquals(seen, ["5 rdmsr", "7 hlt", "8 hlt"]);
});

kvmTest("in real mode RIP is an offset, and the GVA is where the segment puts it", () => {
  using vm = Machine.create({ memory: "1M" });
  vm.load(code("ea 05 00 c0 07 e6 10 f4"), { protocol: "flat16" }); // jmp 0x7c0:5; out 0x10, al
  for (const { instruction } of vm.exits()) {
    assertEquals([instruction?.rip, instruction?.gva], [5n, 0x7c05n]);
    break;
  }
});

kvmTest("a step shows the next instruction, a write to the registers changes nothing", () => {
  using vm = Machine.create({ memory: "1M" });
  vm.load(code("40 43 e6 10 f4"), { protocol: "flat16" }); // inc ax; inc bx; out 0x10, al; hlt
  vm.vcpu.singleStep = true;
  for (const exit of vm.exits()) {
    vm.vcpu.singleStep = false;
    if (exit.reason === "DEBUG") assertEquals(exit.instruction?.text, "inc bx");
    if (exit.reason !== "HLT") continue;
    vm.vcpu.regs.rip = 0x7c00n;
    assertEquals(exit.instruction?.text, "hlt");
    break;
  }
});

kvmTest(
  "an instruction is decoded on first use, which is an error after the guest has run on",
  () => {
    using vm = Machine.create({ memory: "1M" });
    vm.load(code("e6 10 e6 11 f4"), { protocol: "flat16" });
    const seen: Exit[] = [];
    for (const exit of vm.exits()) if (seen.push(exit) === 1) exit.instruction;
    assertEquals(seen[0]!.instruction?.text, "out 0x10, al");
    assertThrows(() => seen[1]!.instruction, Error, "the guest has run on since this exit");
  },
);
