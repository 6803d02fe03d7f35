/**
 * What the Trace Event Format and its readers ask of a document in its JSON object format.
 *
 * Source: the Trace Event Format, "JSON Object Format", "Complete Events", "Instant Events",
 * "Counter Events" and "Metadata Events"; and Perfetto's importer, which leaves out events that have
 * a field of the wrong type, and slices of a thread that overlap without one being in the other.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";

type Fields = Readonly<Record<string, unknown>>;

const COMMON = ["name", "ph", "pid", "tid"];
/** The fields of each phase: those that must be there, and those that may. */
const PHASES: Readonly<Record<string, { must: string[]; may: string[] }>> = {
  M: { must: ["args"], may: [] },
  i: { must: ["ts", "s", "cat"], may: ["args"] },
  X: { must: ["ts", "dur", "cat"], may: ["args"] },
  C: { must: ["ts", "args"], may: ["cat"] },
};
/** Rounding of times that are fractions of a microsecond. */
const EPSILON_US = 1e-6;

/** Checks a whole document. @returns its events */
export function checkTraceEvents(text: string): Fields[] {
  const document = JSON.parse(text);
  assertEquals(Object.keys(document), ["traceEvents", "displayTimeUnit", "otherData"]);
  assert(["ms", "ns"].includes(document.displayTimeUnit));
  for (const value of Object.values(document.otherData)) assertEquals(typeof value, "string");
  const events: Fields[] = document.traceEvents;
  for (const event of events) checkFields(event);
  checkNames(events);
  checkSlices(events);
  return events;
}

function checkFields(event: Fields): void {
  const about = JSON.stringify(event);
  const { name, ph, pid, tid, ts, dur, cat, s, args } = event;
  const phase = PHASES[ph as string];
  assert(phase, about);
  const fields = Object.keys(event);
  for (const field of [...COMMON, ...phase.must]) assert(fields.includes(field), about);
  const known = [...COMMON, ...phase.must, ...phase.may];
  assertEquals(fields.filter((field) => !known.includes(field)), [], about);
  assert(typeof name === "string" && name !== "", about);
  for (const id of [pid, tid]) assert(Number.isSafeInteger(id) && (id as number) >= 0, about);
  for (const time of [ts, dur]) {
    assert(time === undefined || Number.isFinite(time) && (time as number) >= 0, about);
  }
  assert(cat === undefined || typeof cat === "string" && cat !== "", about);
  assert(s === undefined || ["g", "p", "t"].includes(s as string), about);
  if (args === undefined) return;
  const values = Object.values(args as Fields);
  assert(values.length > 0, about);
  const types = ph === "C" ? ["number"] : ph === "M" ? ["string"] : ["string", "number"];
  for (const value of values) assert(types.includes(typeof value) && value !== "", about);
  for (const value of values) assert(typeof value !== "number" || Number.isFinite(value), about);
}

/** The process has one name, and so has each thread on which something is shown. */
function checkNames(events: readonly Fields[]): void {
  const metadata = events.filter(({ ph }) => ph === "M");
  for (const { args } of metadata) assertEquals(Object.keys(args as Fields), ["name"]);
  const kinds = metadata.map(({ name }) => name);
  assertEquals(kinds.filter((name) => name !== "thread_name"), ["process_name"]);
  const named = metadata.filter(({ name }) => name === "thread_name").map(({ tid }) => tid);
  assertEquals(named.length, new Set(named).size);
  const used = events.filter(({ ph, s }) => ph === "X" || s === "t").map(({ tid }) => tid);
  assertEquals([...new Set(used)].filter((tid) => !named.includes(tid)), []);
  assertEquals(new Set(events.map(({ pid }) => pid)).size, 1);
}

/** Slices of a thread lie behind one another, or one in another. */
function checkSlices(events: readonly Fields[]): void {
  const open = new Map<unknown, number[]>();
  const slices = events.filter(({ ph }) => ph === "X") as {
    tid: number;
    ts: number;
    dur: number;
  }[];
  for (const { tid, ts, dur } of slices.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    const ends = (open.get(tid) ?? []).filter((end) => end > ts + EPSILON_US);
    for (const end of ends) assert(ts + dur <= end + EPSILON_US, `thread ${tid}: ${ts}+${dur}`);
    open.set(tid, [...ends, ts + dur]);
  }
}
