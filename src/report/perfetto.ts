/**
 * The report as Chrome trace event JSON, for ui.perfetto.dev and chrome://tracing. Times are in
 * microseconds.
 *
 * Source: the Trace Event Format, as its "JSON Object Format" has it.
 *
 * @module
 */

import { aggregate, type Aggregates, everyRow, prepare, wholeRange } from "./aggregate.ts";
import { consoleLines, consoleText } from "./page/console_lines.ts";
import { accessText, addressText, dataText, ripText } from "./page/format.ts";
import type { Rows } from "./rows.ts";
import type { Trace } from "./trace.ts";

/** One event. `ph`: `M` metadata, `i` instant, `X` complete, `C` counter. */
export interface TraceEvent {
  readonly name: string;
  readonly ph: "M" | "i" | "X" | "C";
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  /** How far an instant reaches: its thread, its process, or all. */
  readonly s?: "t" | "p" | "g";
  readonly args?: Readonly<Record<string, string | number>>;
}

const PID = 1;
/** vCPUs are the threads from 1 on; consoles come after the last possible one. */
const FIRST_CONSOLE_TID = 5000;
/** How finely the counters divide time. */
const COUNTER_BINS = 1000;
const TENTHS = 10;

/**
 * The events of a trace, those of one thread in order: names of threads, for
 * each exit an instant and, where it was measured, how long vmexit took until
 * the guest ran again; console lines; counters of exits by reason.
 */
export function* perfettoEvents(trace: Trace): Generator<TraceEvent> {
  const { rows, begin, outcome } = trace;
  const prepared = prepare(rows, []);
  const name = begin ? `vmexit ${begin.image}` : "vmexit";
  yield { name: "process_name", ph: "M", pid: PID, tid: 0, args: { name } };
  for (const cpu of prepared.cpus) yield thread(cpu + 1, `vCPU ${cpu}`);
  yield* exits(rows, prepared.vmm);
  yield* consoles(trace);
  const range = wholeRange(rows);
  if (rows.length > 0) {
    yield* counters(rows, aggregate(prepared, everyRow(rows), range, COUNTER_BINS));
  }
  if (outcome) {
    const args = { kind: outcome.kind, exit_code: outcome.exit_code };
    yield { ...at(outcome.t_us * TENTHS, outcome.message, 0), cat: "outcome", s: "g", args };
  }
}

/** The whole document, in pieces of some events each. */
export function* perfettoJson(trace: Trace, version: string): Generator<string> {
  yield '{"traceEvents":[\n';
  let separator = "";
  for (const event of perfettoEvents(trace)) {
    yield separator + JSON.stringify(event);
    separator = ",\n";
  }
  const otherData = {
    version: `vmexit ${version}`,
    ...(trace.outcome ? { outcome: trace.outcome.message } : {}),
    ...(trace.warnings.length > 0 ? { warnings: trace.warnings.join("\n") } : {}),
  };
  yield `\n],"displayTimeUnit":"ns","otherData":${JSON.stringify(otherData)}}\n`;
}

function thread(tid: number, name: string): TraceEvent {
  return { name: "thread_name", ph: "M", pid: PID, tid, args: { name } };
}

function at(time: number, name: string, tid: number) {
  return { name, ph: "i", pid: PID, tid, ts: time / TENTHS } as const;
}

function* exits(rows: Rows, vmm: Float64Array): Generator<TraceEvent> {
  // The time of an exit that was not traced counts to the one before it.
  const isComplete = rows.n.reduce((most, n) => Math.max(most, n), 0) === rows.length;
  const last = new Map<number, number>();
  const { reasons, notes, accesses } = rows.tables;
  for (let row = 0; row < rows.length; row++) {
    const cpu = rows.cpu[row]!;
    const before = last.get(cpu);
    last.set(cpu, row);
    const reason = reasons[rows.reason[row]!]!.name;
    if (isComplete && before !== undefined && vmm[row]! >= 0) {
      const served = reasons[rows.reason[before]!]!.name;
      yield {
        name: `serve ${served}`,
        ph: "X",
        pid: PID,
        tid: cpu + 1,
        ts: rows.time[before]! / TENTHS,
        dur: vmm[row]! / TENTHS,
        cat: "vmexit",
      };
    }
    const address = addressText(rows, row);
    const access = accessText(rows, row);
    const args: Record<string, string | number> = { n: rows.n[row]! };
    const { device } = accesses[rows.access[row]!]!;
    const texts = {
      address,
      access,
      data: dataText(rows, row),
      device,
      rip: ripText(rows, row),
      more: notes[rows.note[row]!]!,
    };
    for (const [key, text] of Object.entries(texts)) if (text !== "") args[key] = text;
    const name = [reason, access.split(" ")[0], address].filter((part) => part).join(" ");
    yield { ...at(rows.time[row]!, name, cpu + 1), cat: reason, s: "t", args };
  }
}

function* consoles({ rows, console }: Trace): Generator<TraceEvent> {
  for (const [i, device] of console.devices.entries()) {
    yield thread(FIRST_CONSOLE_TID + i, `console ${device}`);
  }
  for (const { places, device } of consoleLines(console)) {
    const text = consoleText(Uint8Array.from(places, (place) => console.bytes[place]!));
    if (text === "") continue;
    const time = rows.time[console.row[places[0]!]!]!;
    yield { ...at(time, text, FIRST_CONSOLE_TID + device), cat: "console", s: "t" };
  }
}

function* counters(rows: Rows, data: Aggregates): Generator<TraceEvent> {
  const { range, bins, cpus, counts } = data;
  const { reasons } = rows.tables;
  const width = (range.to - range.from) / bins;
  for (const [place, cpu] of cpus.entries()) {
    for (let bin = 0; bin < bins; bin++) {
      const args: Record<string, number> = {};
      reasons.forEach(({ name }, reason) => {
        args[name] = (args[name] ?? 0) + counts[(place * reasons.length + reason) * bins + bin]!;
      });
      const name = `exits of vCPU ${cpu} in ${(width / TENTHS).toFixed(1)} µs`;
      yield { name, ph: "C", pid: PID, tid: 0, ts: (range.from + bin * width) / TENTHS, args };
    }
  }
}
