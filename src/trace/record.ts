/**
 * The records of a trace, as text lines and as JSON lines.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { type BootPlan, loadedRanges } from "../boot/plan.ts";
import { exitReasonName } from "../exits/decode.ts";
import { detailsJson, detailsText } from "../exits/describe.ts";
import type { VmExit } from "../exits/exit.ts";
import { portName } from "../exits/port_names.ts";
import { hex } from "../hex.ts";
import type { MachineType } from "../machine/machine.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "../machine/outcome.ts";
import type { RunStatistics } from "../machine/statistics.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Json } from "../shape.ts";
import { faultJson, faultLine, unresolvedJson } from "./fault_record.ts";

/** The version of the JSON records. It changes when a field changes its meaning or goes. */
export const SCHEMA_VERSION = 1;

/** What a run begins with. */
export interface BeginRecord {
  /** The version of vmexit. */
  readonly version: string;
  /** The image's path. */
  readonly image: string;
  readonly plan: BootPlan;
  readonly machine: MachineType;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly memory: Pick<GuestMemory, "slots" | "holes">;
}

/** One exit and its circumstances. */
export interface ExitRecord {
  /** Its number in the run, from 1. */
  readonly n: number;
  /** Microseconds since the guest was first entered. */
  readonly tUs: number;
  /** The vCPU. */
  readonly cpu: number;
  /** Microseconds in the guest since the record before, where measured. */
  readonly guestUs: number | undefined;
  readonly exit: VmExit;
  /** Who served it, where a device did. */
  readonly handler: string | undefined;
}

/** One memory fault and its circumstances. */
export interface FaultRecord extends Omit<ExitRecord, "exit" | "handler"> {
  readonly fault: MemoryFault;
  /** What became of it. */
  readonly verdict: string;
}

/** A finished run. */
export interface RunRecord {
  readonly outcome: Outcome;
  readonly statistics: RunStatistics;
  /** Microseconds from the first entry to the end. */
  readonly tUs: number;
}

/** Terminal attributes, empty where there is to be no colour. */
export interface Palette {
  readonly reason: string;
  readonly reset: string;
}

/** No colour. */
export const PLAIN: Palette = { reason: "", reset: "" };
/** Exit reasons stand out. */
export const COLOR: Palette = { reason: "\x1b[1;36m", reset: "\x1b[0m" };

/** The machine's facts as the first JSON line. */
export function beginJson(record: BeginRecord): string {
  const { version, image, plan, machine, cpus, memoryBytes, memory } = record;
  const range = (gpa: number | bigint, sizeBytes: number) => ({
    gpa: hex(gpa),
    size: hex(sizeBytes),
  });
  return JSON.stringify({
    type: "begin",
    v: SCHEMA_VERSION,
    version,
    image,
    boot: plan.protocol,
    machine,
    cpus,
    memory: hex(memoryBytes),
    slots: memory.slots.map(({ id, gpa, sizeBytes, kind }) => ({
      id,
      ...range(gpa, sizeBytes),
      kind,
    })),
    holes: memory.holes.map(({ gpa, sizeBytes, kind }) => ({ ...range(gpa, sizeBytes), kind })),
    loaded: loadedRanges(plan.segments).map(({ name, gpa, sizeBytes }) => ({
      name,
      ...range(gpa, sizeBytes),
    })),
  }) + "\n";
}

function tenths(microseconds: number): number {
  return Math.round(microseconds * 10) / 10;
}

/** One exit as a line of text. */
export function exitText(record: ExitRecord, palette: Palette = PLAIN): string {
  const { n, tUs, cpu, exit, handler } = record;
  const rip = exit.rip === undefined ? "" : ` rip=${hex(exit.rip)}`;
  const served = handler === undefined ? "" : ` -> ${handler}`;
  const reason = exit.reason === "UNRECOGNIZED" ? `UNRECOGNIZED(${exit.code})` : exit.reason;
  return `#${n} +${
    (tUs / 1000).toFixed(3)
  }ms cpu${cpu} ${palette.reason}${reason}${palette.reset}` +
    `${detailsText(exit)}${rip}${served}\n`;
}

/** One exit as a JSON line. The payload's key is the reason in lower case. */
export function exitJson({ n, tUs, cpu, guestUs, exit, handler }: ExitRecord): string {
  const payload = detailsJson(exit);
  if (payload && handler !== undefined) payload.device = handler;
  const record: Record<string, Json> = {
    type: "exit",
    v: SCHEMA_VERSION,
    n,
    t_us: tenths(tUs),
    cpu,
    ...(guestUs === undefined ? {} : { guest_us: tenths(guestUs) }),
    reason: exit.reason,
    code: exit.code,
  };
  if (exit.rip !== undefined) record.rip = hex(exit.rip);
  if (payload) record[exit.reason.toLowerCase()] = payload;
  return JSON.stringify(record) + "\n";
}

/** One memory fault as a line of text. */
export function faultRecordText(record: FaultRecord, palette: Palette = PLAIN): string {
  const { n, tUs, cpu, fault, verdict } = record;
  return `#${n} +${(tUs / 1000).toFixed(3)}ms cpu${cpu} ${palette.reason}MEMORY_FAULT` +
    `${palette.reset}${faultLine(fault, verdict)}`;
}

/** One memory fault as a JSON line. */
export function faultRecordJson(record: FaultRecord): string {
  const { n, tUs, cpu, guestUs, fault, verdict } = record;
  return JSON.stringify({
    type: "exit",
    v: SCHEMA_VERSION,
    n,
    t_us: tenths(tUs),
    cpu,
    ...(guestUs === undefined ? {} : { guest_us: tenths(guestUs) }),
    reason: "MEMORY_FAULT",
    code: KVM_EXIT.MEMORY_FAULT,
    rip: hex(fault.rip),
    memory_fault: { ...faultJson(fault), verdict },
  }) + "\n";
}

/** How many ports and pages a summary lists for each reason. */
const TOP = 8;

/** A run's summary: exits by reason, port and page, and where the time went. */
export function summaryText({ statistics, tUs }: RunRecord): string {
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

/** The last line of a run, in words. */
export function outcomeText(outcome: Outcome, message = describeOutcome(outcome)): string {
  return `vmexit: ${message}; exit code ${exitCodeOf(outcome)}\n`;
}

/** The last record of a run. */
export function outcomeJson(
  { outcome, statistics, tUs }: RunRecord,
  message = describeOutcome(outcome),
): string {
  const record: Record<string, Json> = {
    type: "outcome",
    v: SCHEMA_VERSION,
    kind: outcome.kind,
    exit_code: exitCodeOf(outcome),
    ...(outcome.cpu === undefined ? {} : { cpu: outcome.cpu }),
    message,
    exits: statistics.exits,
    by_reason: Object.fromEntries(
      statistics.byReason().map(([code, count]) => [exitReasonName(code) ?? `${code}`, count]),
    ),
    faults_resolved: statistics.faultsResolved,
    t_us: tenths(tUs),
    ...outcomeFields(outcome),
  };
  if (statistics.detailed) {
    record.guest_us = tenths(statistics.guestMs * 1000);
    record.by_port = Object.fromEntries(statistics.byPort().map(([p, n]) => [hex(p), n]));
    record.by_gpa_page = Object.fromEntries(statistics.byPage().map(([g, n]) => [hex(g), n]));
  }
  return JSON.stringify(record) + "\n";
}

/** What some outcomes have besides their kind. */
function outcomeFields(outcome: Outcome): Record<string, Json> {
  switch (outcome.kind) {
    case "debug_exit":
      return { value: outcome.value };
    case "memory_fault":
      return unresolvedJson(outcome);
    case "internal_error":
      return {
        ...exitFields(outcome.exit),
        ...(outcome.instruction === undefined ? {} : { instruction: outcome.instruction }),
      };
    case "fail_entry":
    case "unhandled":
      return exitFields(outcome.exit);
    case "run_failed":
      return { errno: outcome.errno };
    case "interrupted":
      return { signal: outcome.signal };
    default:
      return {};
  }
}

function exitFields(exit: VmExit): Record<string, Json> {
  return { reason: exit.reason, [exit.reason.toLowerCase()]: detailsJson(exit) ?? null };
}

/** A warning as a JSON line. */
export function warningJson(message: string): string {
  return JSON.stringify({ type: "warning", v: SCHEMA_VERSION, message }) + "\n";
}
