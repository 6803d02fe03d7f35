/**
 * The trace in JSON: one record a line, of the types that records.ts declares.
 *
 * @module
 */

import { errnoName } from "../../ffi/errno.ts";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { loadedRanges } from "../boot/plan.ts";
import { exitReasonName } from "../exits/decode.ts";
import { detailsJson } from "../exits/describe.ts";
import type { VmExit } from "../exits/exit.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { Candidate } from "../faults/candidate.ts";
import type { CpuState } from "../faults/locate.ts";
import { hex } from "../hex.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "../machine/outcome.ts";
import type { Json } from "../shape.ts";
import type { SegmentRegister } from "../x86/registers.ts";
import type {
  Moment,
  RunEnd,
  RunStart,
  TracedExit,
  TracedFault,
  UnresolvedFault,
} from "./events.ts";
import type {
  BeginRecord,
  CandidateFields,
  ExitRecord,
  FaultFields,
  OutcomeFields,
  OutcomeRecord,
  RegisterFields,
  TraceRecord,
  UnresolvedFields,
} from "./records.ts";
import { SCHEMA_VERSION } from "./version.ts";

function line(record: TraceRecord): string {
  return JSON.stringify(record) + "\n";
}

/** The first line: what runs, and on which machine. */
export function beginJson(start: RunStart): string {
  const { version, image, plan, machine, cpus, memoryBytes, memory } = start;
  const range = ({ gpa, sizeBytes }: { gpa: number | bigint; sizeBytes: number | bigint }) => ({
    gpa: hex(gpa),
    size: hex(sizeBytes),
  });
  const record: BeginRecord = {
    type: "begin",
    v: SCHEMA_VERSION,
    version,
    image,
    boot: plan.protocol,
    machine,
    cpus,
    memory: hex(memoryBytes),
    slots: memory.slots.map((slot) => ({ id: slot.id, ...range(slot), kind: slot.kind })),
    holes: memory.holes.map((hole) => ({ ...range(hole), kind: hole.kind })),
    loaded: loadedRanges(plan.segments).map((each) => ({ name: each.name, ...range(each) })),
  };
  return line(record);
}

function tenths(microseconds: number): number {
  return Math.round(microseconds * 10) / 10;
}

/** The first fields of every exit's record. */
function exitHead({ n, tUs, cpu, guestUs }: Moment, reason: string, code: number): ExitRecord {
  return {
    type: "exit",
    v: SCHEMA_VERSION,
    n,
    t_us: tenths(tUs),
    cpu,
    ...(guestUs === undefined ? {} : { guest_us: tenths(guestUs) }),
    reason,
    code,
  };
}

/** One exit. The payload's key is the reason in lower case. */
export function exitJson({ exit, handler, ...moment }: TracedExit): string {
  const payload = detailsJson(exit);
  if (payload && handler !== undefined) payload.device = handler;
  return line({
    ...exitHead(moment, exit.reason, exit.code),
    ...(exit.rip === undefined ? {} : { rip: hex(exit.rip) }),
    ...(payload && { [exit.reason.toLowerCase()]: payload }),
  });
}

/** One memory fault: an exit, whatever KVM called it. */
export function faultJson({ fault, verdict, ...moment }: TracedFault): string {
  return line({
    ...exitHead(moment, "MEMORY_FAULT", KVM_EXIT.MEMORY_FAULT),
    rip: hex(fault.rip),
    memory_fault: { ...faultFields(fault), verdict },
  });
}

function faultFields(fault: MemoryFault): FaultFields {
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

/** All that is known of a fault that ended the run. */
function unresolvedFields({ fault, attempts, state }: UnresolvedFault): UnresolvedFields {
  return {
    ...faultFields(fault),
    tries: attempts.length,
    attempts: attempts.map(({ resolver, note }) => ({ resolver, note })),
    candidates: fault.candidates.map(candidateFields),
    registers: registerFields(state),
  };
}

function candidateFields(candidate: Candidate): CandidateFields {
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

function registerFields({ regs, sregs }: CpuState): RegisterFields {
  const { cs, ss, ds, es, fs, gs, cr0, cr2, cr3, cr4, efer } = sregs;
  const segment = ({ selector, base, limit }: SegmentRegister) => ({
    selector: hex(selector),
    base: hex(base),
    limit: hex(limit),
  });
  return {
    ...hexes(regs),
    cs: segment(cs),
    ss: segment(ss),
    ds: segment(ds),
    es: segment(es),
    fs: segment(fs),
    gs: segment(gs),
    ...hexes({ cr0, cr2, cr3, cr4, efer }),
  };
}

function hexes<K extends string>(values: Readonly<Record<K, bigint>>): Record<K, string> {
  const entries = Object.entries<bigint>(values).map(([name, value]) => [name, hex(value)]);
  return Object.fromEntries(entries);
}

/** The last line of a run. */
export function outcomeJson(
  { outcome, statistics, tUs }: RunEnd,
  message = describeOutcome(outcome),
): string {
  const byAddress = (entries: readonly (readonly [number, number])[]) =>
    Object.fromEntries(entries.map(([address, count]) => [hex(address), count]));
  const common = {
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
  } as const;
  const record: OutcomeRecord = {
    ...common,
    ...outcomeFields(outcome),
    ...(statistics.detailed && {
      guest_us: tenths(statistics.guestMs * 1000),
      by_port: byAddress(statistics.byPort()),
      by_gpa_page: byAddress(statistics.byPage()),
    }),
  };
  return line(record);
}

/** The fields of an outcome's record for its kind. */
function outcomeFields(outcome: Outcome): OutcomeFields {
  switch (outcome.kind) {
    case "debug_exit":
      return { kind: outcome.kind, value: outcome.value };
    case "memory_fault":
      return { kind: outcome.kind, ...unresolvedFields(outcome) };
    case "internal_error":
      return {
        kind: outcome.kind,
        reason: "INTERNAL_ERROR",
        internal_error: detailsJson(outcome.exit)!,
        ...(outcome.instruction === undefined ? {} : { instruction: outcome.instruction }),
      };
    case "fail_entry":
      return { kind: outcome.kind, reason: "FAIL_ENTRY", fail_entry: detailsJson(outcome.exit)! };
    case "unhandled":
      return { kind: outcome.kind, ...payloadFields(outcome.exit) };
    case "run_failed":
      return { kind: outcome.kind, errno: outcome.errno };
    case "interrupted":
      return { kind: outcome.kind, signal: outcome.signal };
    default:
      return { kind: outcome.kind };
  }
}

function payloadFields(exit: VmExit): { reason: string } & Record<string, Json> {
  return { reason: exit.reason, [exit.reason.toLowerCase()]: detailsJson(exit) ?? null };
}

/** Something that the user should know. */
export function warningJson(message: string): string {
  return line({ type: "warning", v: SCHEMA_VERSION, message });
}
