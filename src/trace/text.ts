/**
 * The trace in text: one line an exit, made for reading and for grep.
 *
 * @module
 */

import { exitReasonName } from "../exits/decode.ts";
import { detailsText } from "../exits/describe.ts";
import { portName } from "../exits/port_names.ts";
import { faultText } from "../faults/fault.ts";
import type { Candidate } from "../faults/candidate.ts";
import { hex } from "../hex.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "../machine/outcome.ts";
import {
  describeCr0,
  describeCr4,
  describeEfer,
  describeRflags,
} from "../x86/control_registers.ts";
import { bitnessOf } from "../x86/instruction.ts";
import type { Moment, RunEnd, TracedExit, TracedFault, UnresolvedFault } from "./events.ts";

/** Terminal attributes, empty without colour. */
export interface Palette {
  readonly reason: string;
  readonly reset: string;
}

/** No colour. */
export const PLAIN: Palette = { reason: "", reset: "" };
/** Exit reasons stand out. */
export const COLOR: Palette = { reason: "\x1b[1;36m", reset: "\x1b[0m" };

/** What the line of every exit begins with: `#3 +0.412ms cpu0 IO`. */
function exitHead({ n, tUs, cpu }: Moment, reason: string, palette: Palette): string {
  return `#${n} +${(tUs / 1000).toFixed(3)}ms cpu${cpu} ${palette.reason}${reason}${palette.reset}`;
}

/** One exit. */
export function exitText({ exit, handler, ...moment }: TracedExit, palette = PLAIN): string {
  const reason = exit.reason === "UNRECOGNIZED" ? `UNRECOGNIZED(${exit.code})` : exit.reason;
  const rip = exit.rip === undefined ? "" : ` rip=${hex(exit.rip)}`;
  const served = handler === undefined ? "" : ` -> ${handler}`;
  return `${exitHead(moment, reason, palette)}${detailsText(exit)}${rip}${served}\n`;
}

/** One memory fault. */
export function faultLine({ fault, verdict, ...moment }: TracedFault, palette = PLAIN): string {
  return `${exitHead(moment, "MEMORY_FAULT", palette)} ${faultText(fault)} -> ${verdict}\n`;
}

/** How many ports and pages a summary lists for each reason. */
const TOP = 8;

/** A run's summary: exits by reason, port and page, and where the time went. */
export function summaryText({ statistics, tUs }: RunEnd): string {
  const totalMs = tUs / 1000;
  const guestMs = Math.min(statistics.guestMs, totalMs);
  const rate = totalMs > 0 ? Math.round(statistics.exits / (totalMs / 1000)) : 0;
  const lines = [
    `--- ${plural(statistics.exits, "exit")} in ${totalMs.toFixed(3)} ms: ` +
    `${guestMs.toFixed(3)} ms in the guest, ${(totalMs - guestMs).toFixed(3)} ms in vmexit; ` +
    `${rate} exits/s`,
  ];
  for (const [code, count] of statistics.byReason()) {
    lines.push(`${String(count).padStart(10)}  ${exitReasonName(code) ?? `exit ${code}`}`);
    if (exitReasonName(code) === "IO") lines.push(...top(statistics.byPort(), portLabel));
    if (exitReasonName(code) === "MMIO") lines.push(...top(statistics.byPage(), pageLabel));
  }
  if (statistics.faultsResolved > 0) {
    lines.push(`${String(statistics.faultsResolved).padStart(10)}  memory faults resolved`);
  }
  return lines.join("\n") + "\n";
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function portLabel(port: number): string {
  const name = portName(port);
  return `port ${hex(port)}${name === undefined ? "" : ` (${name})`}`;
}

function pageLabel(gpa: number): string {
  return `gpa ${hex(gpa)}+0x1000`;
}

function top(entries: readonly [number, number][], label: (at: number) => string): string[] {
  const lines = entries.slice(0, TOP).map(([at, count]) =>
    `${String(count).padStart(16)}  ${label(at)}`
  );
  const rest = entries.slice(TOP).reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) lines.push(`${String(rest).padStart(16)}  ${entries.length - TOP} others`);
  return lines;
}

/** The last line of a run. */
export function outcomeText(outcome: Outcome, message = describeOutcome(outcome)): string {
  return `vmexit: ${message}; exit code ${exitCodeOf(outcome)}\n`;
}

const GENERAL = [
  ["rax", "rbx", "rcx", "rdx"],
  ["rsi", "rdi", "rbp", "rsp"],
  ["r8", "r9", "r10", "r11"],
  ["r12", "r13", "r14", "r15"],
] as const;
const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs"] as const;

/** All that is known of a fault that ended the run. */
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
