/**
 * Records of a JSON trace, made by hand.
 *
 * @module
 */

import type {
  ExitRecord,
  OutcomeRecord,
  RegisterFields,
  UnresolvedFields,
} from "../../src/trace/records.ts";

/** An exit that halts, but for what is given. */
export function exitRecord(fields: Readonly<Record<string, unknown>>): ExitRecord {
  return { type: "exit", v: 1, n: 1, t_us: 0, cpu: 0, reason: "HLT", code: 5, ...fields };
}

/** The end of a run that halted. */
export const HALT: OutcomeRecord = {
  type: "outcome",
  v: 1,
  kind: "halt",
  exit_code: 0,
  message: "guest halted (HLT)",
  exits: 3,
  by_reason: { IO: 2, HLT: 1 },
  faults_resolved: 0,
  t_us: 2000,
};

const FLAT = { base: "0x0", limit: "0xffffffff" };
// deno-fmt-ignore
const REGISTERS: RegisterFields = {
  rax: "0xaaaa", rbx: "0x3008", rcx: "0x0", rdx: "0x0", rsi: "0x0", rdi: "0x0",
  rsp: "0x100000", rbp: "0x0", r8: "0x0", r9: "0x0", r10: "0x0", r11: "0x0", r12: "0x0",
  r13: "0x0", r14: "0x0", r15: "0xffffffffffffffff", rip: "0x100005", rflags: "0x2",
  cs: { selector: "0x8", ...FLAT }, ss: { selector: "0x10", ...FLAT },
  ds: { selector: "0x10", ...FLAT }, es: { selector: "0x10", ...FLAT },
  fs: { selector: "0x10", ...FLAT }, gs: { selector: "0x10", ...FLAT },
  cr0: "0x80000011", cr2: "0x0", cr3: "0x1000", cr4: "0x20", efer: "0x500",
};

const FAULT: UnresolvedFields = {
  gpa: "0x3008",
  size: "0x4",
  access: "read",
  visibility: "shared",
  errno: "EFAULT",
  shape: "unannotated",
  disguise: null,
  flags: "0x0",
  located_by: "the instruction's operand",
  gva: "0x3008",
  slot: 0,
  hva_state: "no access (PROT_NONE)",
  rip: "0x100005",
  instruction: "mov eax, [rbx]",
  instruction_rip: "0x100005",
  tries: 1,
  attempts: [{ resolver: "lazy", note: "no page" }],
  candidates: [
    {
      source: "instruction fetch",
      access: "fetch",
      gva: "0x100005",
      gpa: "0x100005",
      size: 2,
      bad: false,
      state: "present",
      walk: [],
    },
    {
      source: "operand",
      access: "read",
      gva: "0x3008",
      gpa: "0x3008",
      size: 4,
      bad: true,
      state: "no access (PROT_NONE)",
      walk: [
        { level: "PML4", entry_gpa: "0x1000", entry: "0x2007" },
        { level: "PD", entry_gpa: "0x3000", entry: "0x87" },
      ],
    },
  ],
  registers: REGISTERS,
};

/** The end of a run by a memory fault. */
export const MEMORY_FAULT: OutcomeRecord & { readonly kind: "memory_fault" } = {
  ...HALT,
  exit_code: 20,
  message: "memory fault: gpa=0x3008",
  ...FAULT,
  kind: "memory_fault",
};
