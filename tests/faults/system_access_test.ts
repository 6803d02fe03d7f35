/**
 * Faults at what the processor accesses on its own, and stores that KVM has stepped past, on
 * real KVM. Undefined opcodes and accesses past a limit must not be taken for faults.
 */

import { assert, assertEquals } from "@std/assert";
import { describeOutcome, type Outcome } from "../../src/machine/outcome.ts";
import type { MemoryFault } from "../../src/faults/fault.ts";
import type { Hole, HoleKind } from "../../src/memory/hole.ts";
import { CODE } from "../lib/fake_cpu.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

const BAD = 0x30_0000;

function hole(gpa: number, kind: HoleKind = "none"): Hole {
  return { gpa, sizeBytes: 0x1000, kind };
}

/** An image of 64-bit code with something more at an offset. */
function image(listing: string, at = 0, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const content = new Uint8Array(Math.max(0x1000, at + bytes.length));
  content.set(code(listing));
  content.set(bytes, at);
  return content;
}

function faultOf(outcome: Outcome): MemoryFault {
  assert(outcome.kind === "memory_fault", describeOutcome(outcome));
  return outcome.fault;
}

function place(outcome: Outcome): [gpa: number, access: string] {
  const { gpa, access } = faultOf(outcome);
  return [Number(gpa), access];
}

/** Where a page table of the image is, and what it maps. */
const TABLE = CODE + 0x1000;
const MAPPED = 1n << 39n;

/** Runs code at CPL 3 with the page at MAPPED translated by an entry in a read-only page. */
async function throughReadOnlyTable(listing: string, flags: bigint): Promise<Outcome> {
  const entry = new Uint8Array(8);
  new DataView(entry.buffer).setBigUint64(0, 0x50_0000n | flags, true);
  using test = new TestMachine(image(listing, TABLE - CODE, entry), {
    protocol: "flat64",
    holes: [hole(TABLE, "readonly")],
  });
  const { vcpu, memory } = test.machine;
  const put = (gpa: bigint, value: bigint): void => {
    memory.write(gpa, new Uint8Array(BigUint64Array.of(value).buffer));
  };
  const sregs = vcpu.sregs();
  put(sregs.cr3 + 8n, 0x40_0067n);
  put(0x40_0000n, 0x40_1067n);
  put(0x40_1000n, BigInt(TABLE) | 0x67n);
  sregs.cs = { ...sregs.cs, dpl: 3, selector: 0x2b };
  for (const name of ["ss", "ds", "es"] as const) {
    sregs[name] = { ...sregs[name], dpl: 3, selector: 0x33 };
  }
  vcpu.setSregs({ ...sregs, idt: { ...sregs.idt, limit: 0 } });
  vcpu.setRegs({ ...vcpu.regs(), rbx: MAPPED, rflags: 0x3002n });
  return await test.run();
}

kvmTest("a store through a clean entry in a read-only page faults at the entry", async () => {
  const fault = faultOf(await throughReadOnlyTable("88 03", 0x27n)); // mov [rbx], al
  assertEquals([Number(fault.gpa), fault.access], [TABLE, "write"]);
});

kvmTest("a load through an entry not accessed yet, in a read-only page, faults there", async () => {
  const fault = faultOf(await throughReadOnlyTable("8a 03", 0x47n)); // mov al, [rbx]
  assertEquals([Number(fault.gpa), fault.access], [TABLE, "write"]);
});

kvmTest("a triple fault behind an entry that needs no write is a shutdown", async () => {
  const outcome = await throughReadOnlyTable("8a 03 0f 0b", 0x67n); // mov al, [rbx]; ud2
  // With nested paging the walk itself is a write: then it is the fault.
  if (outcome.kind === "memory_fault") assertEquals(outcome.fault.shape, "unannotated");
  else assertEquals(outcome.kind, "shutdown");
});

kvmTest("an undefined opcode at a page's end is what it is without a hole behind it", async () => {
  const ends = async (bytes: string, holes: readonly Hole[]): Promise<Outcome> => {
    const at = CODE + 0x1000 - code(bytes).length;
    const jump = new DataView(new ArrayBuffer(4));
    jump.setInt32(0, at - CODE - 5, true);
    const listing = `e9 ${[...new Uint8Array(jump.buffer)].map((b) => b.toString(16)).join(" ")}`;
    using test = new TestMachine(image(listing, at - CODE, code(bytes)), {
      protocol: "flat64",
      holes,
    });
    return await test.run();
  };
  const behind = (bytes: string) => ends(bytes, [hole(CODE + 0x1000)]);
  for (const bytes of ["0f 0a", "0f ff", "0f b9", "0f 0b"]) {
    const outcome = await behind(bytes);
    const hasModRm = /ff|b9/.test(bytes) && outcome.kind === "memory_fault";
    // Some processors fetch the ModRM byte of UD0 and UD1 (SDM volume 2B, UD).
    if (hasModRm) assertEquals(place(outcome), [CODE + 0x1000, "fetch"], bytes);
    else assertEquals(outcome.kind, (await ends(bytes, [])).kind, bytes);
  }
  assertEquals(place(await behind("8b 05")), [CODE + 0x1000, "fetch"], "mov eax, [rip+…]");
});

for (
  const [name, listing, gpa] of [
    ["push 0x55", "90 90 6a 55 f4", BAD + 0xf8],
    ["push rbp", "90 90 55 f4", BAD + 0xf8],
    ["pushf", "90 90 9c f4", BAD + 0xf8],
    ["stosq", "90 90 48 ab f4", BAD],
    ["movsb", "90 90 a4 f4", BAD],
    ["mov [rdi], cl", "b0 3e 88 0f f4", BAD], // behind mov al, 0x3e
    ["call 0x100010", "e8 0b 00 00 00 f4", BAD + 0xf8],
  ] as const
) {
  kvmTest(
    `${name} is named as the store that faulted, with the GPA that it stored to`,
    async () => {
      using test = new TestMachine(image(`${listing}${" f4".repeat(32)}`), {
        protocol: "flat64",
        holes: [hole(BAD)],
      });
      const { vcpu } = test.machine;
      const rsp = BigInt(BAD + 0x100);
      vcpu.setRegs({ ...vcpu.regs(), rdi: BigInt(BAD), rsi: BigInt(CODE), rsp, rbp: 7n });
      const fault = faultOf(await test.run());
      assertEquals([fault.instruction, Number(fault.gpa)], [name, gpa]);
      const candidate = fault.candidates.find((c) => c.bad);
      assertEquals([Number(candidate?.gpa), candidate?.access], [gpa, "write"]);
    },
  );
}

kvmTest("an exception whose frame, handler's segment or TSS cannot be had is a fault", async () => {
  for (const bad of ["stack", "gdt"] as const) {
    using test = new TestMachine(image("0f 0b"), { protocol: "flat64", holes: [hole(BAD)] });
    const { vcpu, memory } = test.machine;
    const sregs = vcpu.sregs();
    // Every gate leads to the same place in the loader's code segment.
    const gate = BigInt(CODE & 0xffff) | BigInt(sregs.cs.selector) << 16n | 0x8en << 40n |
      BigInt(CODE >> 16) << 48n;
    const gates = BigUint64Array.from({ length: 64 }, (_, i) => i % 2 === 0 ? gate : 0n);
    memory.write(0x40_0000, new Uint8Array(gates.buffer));
    sregs.idt = { base: 0x40_0000n, limit: 0x1ff, padding: sregs.idt.padding };
    if (bad === "gdt") sregs.gdt = { ...sregs.gdt, base: BigInt(BAD), limit: 0xff };
    vcpu.setSregs(sregs);
    vcpu.setRegs({ ...vcpu.regs(), rsp: bad === "stack" ? BigInt(BAD + 0x100) : 0x50_0000n });
    const fault = faultOf(await test.run());
    assertEquals(Number(fault.gpa! & ~0xfffn), BAD, bad);
  }
});

for (
  const [name, listing] of [
    ["add byte [rdi], 1", "80 07 01 f4"],
    ["lock cmpxchg8b [rdi]", "f0 0f c7 0f f4"],
    ["sldt [rdi]", "0f 00 07 f4"],
  ] as const
) {
  kvmTest(`${name} is a write, although KVM's emulator reads first`, async () => {
    using test = new TestMachine(image(listing), { protocol: "flat64", holes: [hole(BAD)] });
    const { vcpu } = test.machine;
    vcpu.setRegs({ ...vcpu.regs(), rdi: BigInt(BAD) });
    const fault = faultOf(await test.run());
    assertEquals([Number(fault.gpa), fault.access], [BAD, "write"]);
  });
}

for (const [name, rights, isFault] of [["available", 0x89, true], ["busy", 0x8b, false]] as const) {
  kvmTest(`LTR of a TSS that is ${name}, in a read-only GDT`, async () => {
    const gdt = new Uint8Array(0x1000);
    const descriptor = 0x0000_0040_0000_0067n | BigInt(rights) << 40n;
    new DataView(gdt.buffer).setBigUint64(0x10, descriptor, true);
    using test = new TestMachine(image("0f 00 d8 f4", 0x1000, gdt), {
      protocol: "flat64",
      holes: [hole(CODE + 0x1000, "readonly")],
    });
    const { vcpu } = test.machine;
    const sregs = vcpu.sregs();
    vcpu.setSregs({
      ...sregs,
      gdt: { ...sregs.gdt, base: BigInt(CODE + 0x1000), limit: 0xff },
      idt: { ...sregs.idt, limit: 0 },
    });
    vcpu.setRegs({ ...vcpu.regs(), rax: 0x10n });
    const outcome = await test.run();
    if (!isFault) return assertEquals(outcome.kind, "shutdown");
    const fault = faultOf(outcome);
    assertEquals([Number(fault.gpa), fault.access], [CODE + 0x1015, "write"]);
  });
}

kvmTest(
  "a store that a table entry forbids is a page fault, also in a read-only page",
  async () => {
    const outcome = await throughReadOnlyTable("88 03", 0x25n); // mov [rbx], al
    // With nested paging the walk itself is a write: then it is the fault.
    if (outcome.kind === "memory_fault") assertEquals(outcome.fault.shape, "unannotated");
    else assertEquals(outcome.kind, "shutdown");
  },
);
