/**
 * Memory faults in a trace: a line each, and all that is known of an unresolved one.
 *
 * @module
 */

import { errnoName } from "../../ffi/errno.ts";
import type { Json } from "../shape.ts";
import { hex } from "../hex.ts";
import type { Outcome } from "../machine/outcome.ts";
import { faultText, type MemoryFault } from "../faults/fault.ts";
import type { Candidate, CpuState } from "../faults/locate.ts";
import {
  describeCr0,
  describeCr4,
  describeEfer,
  describeRflags,
} from "../x86/control_registers.ts";
import { bitnessOf } from "../x86/instruction.ts";

/** An outcome that is an unresolved memory fault. */
export type UnresolvedFault = Extract<Outcome, { kind: "memory_fault" }>;

const GENERAL = [
  ["rax", "rbx", "rcx", "rdx"],
  ["rsi", "rdi", "rbp", "rsp"],
  ["r8", "r9", "r10", "r11"],
  ["r12", "r13", "r14", "r15"],
] as const;
const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs"] as const;

/** A fault's fields, as records have them. */
export function faultJson(fault: MemoryFault): Record<string, Json> {
  return {
    gpa: fault.gpa === undefined ? null : hex(fault.gpa),
    size: hex(fault.sizeBytes),
    access: fault.access,
    visibility: fault.private ? "private" : "shared",
    errno: fault.errno === 0 ? null : errnoName(fault.errno),
    shape: fault.shape,
    disguise: fault.disguise ?? null,
    flags: hex(fault.flags),
    located_by: fault.locatedBy,
    gva: fault.gva === undefined ? null : hex(fault.gva),
    slot: fault.slot ?? null,
    hva_state: fault.hostState,
    rip: hex(fault.rip),
    instruction: fault.instruction ?? null,
    instruction_rip: fault.instructionRip === undefined ? null : hex(fault.instructionRip),
  };
}

/** A fault's line in the trace, behind its number, time and vCPU. */
export function faultLine(fault: MemoryFault, verdict: string): string {
  return ` ${faultText(fault)} -> ${verdict}\n`;
}

/** All that is known of an unresolved fault, for the outcome record. */
export function unresolvedJson({ fault, attempts, state }: UnresolvedFault): Record<string, Json> {
  return {
    ...faultJson(fault),
    tries: attempts.length,
    attempts: attempts.map(({ resolver, note }) => ({ resolver, note })),
    candidates: fault.candidates.map(candidateJson),
    registers: registersJson(state),
  };
}

function candidateJson(candidate: Candidate): Json {
  return {
    source: candidate.source,
    access: candidate.access,
    gva: candidate.gva === undefined ? null : hex(candidate.gva),
    gpa: candidate.gpa === undefined ? null : hex(candidate.gpa),
    size: candidate.sizeBytes,
    bad: candidate.bad,
    state: candidate.state,
    walk: candidate.walk.map(({ level, entryGpa, entry }) => ({
      level,
      entry_gpa: hex(entryGpa),
      entry: hex(entry),
    })),
  };
}

function registersJson({ regs, sregs }: CpuState): Json {
  return {
    ...Object.fromEntries(Object.entries(regs).map(([name, value]) => [name, hex(value)])),
    ...Object.fromEntries(
      SEGMENTS.map((name) => {
        const { selector, base, limit } = sregs[name];
        return [name, { selector: hex(selector), base: hex(base), limit: hex(limit) }];
      }),
    ),
    cr0: hex(sregs.cr0),
    cr2: hex(sregs.cr2),
    cr3: hex(sregs.cr3),
    cr4: hex(sregs.cr4),
    efer: hex(sregs.efer),
  };
}

/** All that is known of an unresolved fault, for people. */
export function unresolvedText({ fault, state }: UnresolvedFault): string {
  const { regs, sregs } = state;
  const wide = (value: bigint): string => value.toString(16).padStart(16, "0");
  const lines = [
    `instruction  ${fault.instruction ?? "not readable"} (${bitnessOf(sregs)}-bit code)`,
    "registers",
    ...GENERAL.map((row) => "  " + row.map((r) => `${r.padEnd(3)} ${wide(regs[r])}`).join("  ")),
    `  rip ${wide(regs.rip)}  rflags ${hex(regs.rflags)} ${describeRflags(regs.rflags)}`,
    ...SEGMENTS.map((name) => {
      const { selector, base, limit, dpl } = sregs[name];
      return `  ${name}  ${hex(selector)} base=${hex(base)} limit=${hex(limit)} dpl=${dpl}`;
    }),
    `  cr0 ${hex(sregs.cr0)} ${describeCr0(sregs.cr0)}`,
    `  cr2 ${hex(sregs.cr2)}  cr3 ${hex(sregs.cr3)}`,
    `  cr4 ${hex(sregs.cr4)} ${describeCr4(sregs.cr4)}`,
    `  efer ${hex(sregs.efer)} ${describeEfer(sregs.efer)}`,
    "accesses",
    ...fault.candidates.flatMap(candidateLines),
  ];
  return lines.join("\n") + "\n";
}

function candidateLines({ source, access, gva, gpa, sizeBytes, bad, state, walk }: Candidate) {
  const where = [
    gva === undefined ? "" : ` gva=${hex(gva)}`,
    gpa === undefined ? "" : ` gpa=${hex(gpa)}`,
  ].join("");
  return [
    `  ${bad ? "BAD " : "ok  "}${source}: ${access}${where} size=${hex(sizeBytes)}: ${state}`,
    ...walk.map(({ level, entryGpa, entry }) =>
      `        ${level.padEnd(5)} entry at ${hex(entryGpa)}: ${hex(entry)}`
    ),
  ];
}
