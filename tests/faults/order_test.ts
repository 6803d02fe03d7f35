/**
 * Which access of an instruction is the fault, on real KVM: at CPL 3, with two bad pages, so
 * that the processor's order decides.
 */

import { assert, assertEquals } from "@std/assert";
import type { HoleKind } from "../../src/memory/hole.ts";
import { describeOutcome, type Outcome } from "../../src/machine/outcome.ts";
import { CR4 } from "../../src/x86/control_registers.ts";
import type { Registers, SystemRegisters } from "../../src/x86/registers.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

const BAD = 0x30_0000;
const OTHER = 0x30_2000;
const GOOD = 0x31_0000n;

const hasAvx2 = /\bavx2\b/.test(Deno.readTextFileSync("/proc/cpuinfo"));

/** Runs 64-bit code at CPL 3, with RBX and FS at the bad page. */
async function run(
  listing: string,
  regs: Partial<Registers>,
  kind: HoleKind,
  more: Partial<SystemRegisters> = {},
): Promise<Outcome> {
  const holes = [BAD, OTHER].map((gpa) => ({ gpa, sizeBytes: 0x1000, kind }));
  using test = new TestMachine(code(listing), { protocol: "flat64", holes });
  const { vcpu } = test.machine;
  const sregs = vcpu.sregs();
  sregs.cs = { ...sregs.cs, dpl: 3, selector: 0x2b };
  for (const name of ["ss", "ds", "es"] as const) {
    sregs[name] = { ...sregs[name], dpl: 3, selector: 0x33 };
  }
  sregs.fs = { ...sregs.fs, base: BigInt(BAD) };
  sregs.cr4 |= CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.OSXSAVE;
  vcpu.setSregs({ ...sregs, ...more });
  vcpu.setXcr0(hasAvx2 ? 7n : 3n);
  vcpu.setRegs({ ...vcpu.regs(), rbx: BigInt(BAD), rsp: GOOD, ...regs });
  return await test.run();
}

type Row = readonly [string, string, Partial<Registers>, number, string];

const ROWS: readonly Row[] = [
  ["xlatb", "d7", { rax: 5n }, 0x300005, "read"],
  ["movsb", "a4", { rsi: 0x30_0008n, rdi: 0x30_2008n }, 0x300008, "read"],
  ["cmpsb", "a6", { rsi: 0x30_0008n, rdi: 0x30_2008n }, 0x300008, "read"],
  ["rep movsb", "f3 a4", { rsi: 0x2f_fffcn, rdi: 0x2f_fffdn, rcx: 8n }, 0x300000, "write"],
  ["pop qword [rbx+8]", "8f 43 08", { rsp: 0x30_2000n }, 0x302000, "read"],
  ["push qword [rbx+8]", "ff 73 08", { rsp: 0x30_2100n }, 0x300008, "read"],
  ["call [rbx+8]", "ff 53 08", { rsp: 0x30_2100n }, 0x300008, "read"],
  ["enter 16,0", "c8 10 00 00", { rsp: 0x30_0800n }, 0x3007f8, "write"],
  ["enter 0x800,0", "c8 00 08 00", { rsp: 0x30_1008n }, 0x300800, "write"],
  ["leave", "c9", { rbp: 0x30_0100n }, 0x300100, "read"],
  ["iretq", "48 cf", { rsp: 0x30_0800n }, 0x300800, "read"],
  ["jmp far [rbx+8]", "48 ff 6b 08", {}, 0x300008, "read"],
  ["lock cmpxchg16b [rbx+16]", "f0 48 0f c7 4b 10", {}, 0x300010, "write"],
  [
    "bts [rbx],rax",
    "48 0f ab 03",
    { rbx: 0x30_1000n, rax: -64n & 0xffff_ffff_ffff_ffffn },
    0x300ff8,
    "write",
  ],
  ["bt [rbx],rax", "48 0f a3 03", { rax: 0x808n }, 0x300100, "read"],
  ["fxsave [rbx]", "0f ae 03", {}, 0x300000, "write"],
  ["fnsave [rbx-0x20]", "dd 73 e0", {}, 0x300000, "write"],
  ["xsave [rbx-0x200]", "0f ae a3 00 fe ff ff", { rax: 3n, rdx: 0n }, 0x300000, "write"],
  ["xrstor [rbx-0x200]", "0f ae ab 00 fe ff ff", { rax: 3n, rdx: 0n }, 0x300000, "read"],
  ["cmovnz eax,[rbx+4]", "0f 45 43 04", { rflags: 0x42n }, 0x300004, "read"],
  ["lfs eax,[rbx+8]", "0f b4 43 08", {}, 0x300008, "read"],
  ["clflush [rbx+5]", "0f ae 7b 05", {}, 0x300005, "read"],
  ["fld tword [rbx-4]", "db 6b fc", {}, 0x300000, "read"],
  ["a32 mov al,[ebx]", "67 8a 03", { rbx: 0x1_0030_0010n }, 0x300010, "read"],
  ["mov al,[fs:0x10]", "64 8a 04 25 10 00 00 00", {}, 0x300010, "read"],
  ["mov rax,[rbx-4]", "48 8b 43 fc", {}, 0x300000, "read"],
  ["mov [rbx+0xffd],eax", "89 83 fd 0f 00 00", {}, 0x300ffd, "write"],
  ["jmp rbx", "ff e3", {}, 0x300000, "fetch"],
  ["call rax", "ff d0", { rax: 0x30_0123n }, 0x300123, "fetch"],
  [
    "prefetcht0 [rbx]; lea rax,[rbx]; mov al,[rbx+1]",
    "0f 18 0b 48 8d 03 8a 43 01",
    {},
    0x300001,
    "read",
  ],
  ["rep stosb; mov al,[rbx+3]", "f3 aa 8a 43 03", { rdi: 0x30_0000n }, 0x300003, "read"],
];

/** Instructions with vector masks, and one that saves the AVX state. */
const MASKED: readonly Row[] = [
  [
    "pcmpeqb xmm2,xmm2; pxor xmm1,xmm1; vpgatherdd xmm0,[rbx+xmm1*4],xmm2",
    "66 0f 74 d2 66 0f ef c9 c4 e2 69 90 04 8b",
    {},
    0x300000,
    "read",
  ],
  [
    "pcmpeqb xmm2,xmm2; psrldq xmm2,4; pxor xmm1,xmm1; vpgatherdd xmm0,[rbx+xmm1*4+8],xmm2",
    "66 0f 74 d2 66 0f 73 da 04 66 0f ef c9 c4 e2 69 90 44 8b 08",
    {},
    0x300008,
    "read",
  ],
  [
    "pcmpeqb xmm1,xmm1; pslldq xmm1,12; vmaskmovps [rbx-12],xmm1,xmm0",
    "66 0f 74 c9 66 0f 73 f9 0c c4 e2 71 2e 43 f4",
    {},
    0x300000,
    "write",
  ],
  [
    "pcmpeqb xmm1,xmm1; psrldq xmm1,4; vmaskmovps [rbx-12],xmm1,xmm0; mov al,[rbx+2]",
    "66 0f 74 c9 66 0f 73 d9 04 c4 e2 71 2e 43 f4 8a 43 02",
    {},
    0x300002,
    "read",
  ],
  ["xsave [rbx-0x240]", "0f ae a3 c0 fd ff ff", { rax: 7n, rdx: 0n }, 0x300000, "write"],
];

function assertPlace(outcome: Outcome, gpa: number, access: string): void {
  assert(outcome.kind === "memory_fault", describeOutcome(outcome));
  const { fault } = outcome;
  // An annotation names the page, everything else the access.
  const page = fault.shape === "annotated" ? gpa & ~0xfff : gpa;
  assertEquals([Number(fault.gpa), fault.access], [page, access]);
}

for (const [name, listing, regs, gpa, access] of ROWS) {
  kvmTest(`R6: ${name} faults at ${gpa.toString(16)} (${access})`, async () => {
    assertPlace(await run(listing, regs, "none"), gpa, access);
  });
}

for (const [name, listing, regs, gpa, access] of MASKED) {
  kvmTest(`R6: ${name} faults at ${gpa.toString(16)} (${access})`, async () => {
    if (hasAvx2) assertPlace(await run(listing, regs, "none"), gpa, access);
  });
}

kvmTest("an annotation is of the access whose page it names", async () => {
  for (const [name, listing, regs, gpa, access] of ROWS.slice(0, 8)) {
    const outcome = await run(listing, regs, "gmem");
    // No manual says which operand CMPS reads first.
    const isOther = name === "cmpsb" && outcome.kind === "memory_fault" &&
      outcome.fault.gpa === BigInt(OTHER);
    assertPlace(outcome, isOther ? OTHER : gpa, access);
  }
});

kvmTest(
  "a triple fault with an IDT of limit 0 is not a memory fault, whatever is bad",
  async () => {
    const idt = { base: BigInt(BAD), limit: 0, padding: [] };
    for (const listing of ["0f 0b", "cc", "f7 f1"]) { // ud2, int3, div ecx
      assertEquals((await run(listing, { rcx: 0n }, "none", { idt })).kind, "shutdown", listing);
    }
  },
);
