/**
 * Embeds a trace in a page and reads it back: a JSON summary, which is drawn at once, and all rows
 * as compressed columns.
 *
 * @module
 */

import type { BeginRecord, OutcomeRecord } from "../trace/records.ts";
import {
  aggregate,
  type Aggregates,
  everyRow,
  prepare,
  type TimeRange,
  wholeRange,
} from "./aggregate.ts";
import { consoleLines } from "./page/console_lines.ts";
import { type Region, regionsOf } from "./regions.ts";
import type { AccessRow, ConsoleOutput, Reason, Rows } from "./rows.ts";
import type { Trace } from "./trace.ts";
import { decodeVarints, encodeVarints } from "./varint.ts";

/** A column in the packed bytes. */
export interface PackedColumn {
  readonly name: string;
  /** How many values. */
  readonly length: number;
  /** How many bytes they take. */
  readonly size: number;
}

/** The summary. 64-bit numbers are hexadecimal strings in JSON. */
export interface TraceSummary {
  /** The file that the trace came from, and the version that made the page. */
  readonly source: string;
  readonly version: string;
  readonly begin: BeginRecord | undefined;
  readonly outcome: OutcomeRecord | undefined;
  readonly warnings: readonly string[];
  readonly remarks: readonly string[];
  readonly rows: number;
  readonly reasons: readonly Reason[];
  readonly accesses: readonly AccessRow[];
  readonly consoles: readonly string[];
  /** How many lines of console output there are. */
  readonly consoleLines: number;
  readonly regions: readonly Region[];
  readonly columns: readonly PackedColumn[];
  /** The whole trace, for the first look. */
  readonly overview: Overview;
}

/** {@linkcode Aggregates} of the whole trace, with the values that its histograms name. */
export interface Overview extends Aggregates {
  /** By key of the histograms by port and by RIP. */
  readonly addresses: Readonly<Record<number, bigint>>;
  readonly rips: Readonly<Record<number, bigint>>;
}

/** The narrowest range that is shown of a run, in tenths of a microsecond. */
const LEAST_RANGE = 100;
/** How finely the first look divides time. */
const OVERVIEW_BINS = 240;
/** Columns that grow from row to row, mostly: differences are small. */
const DELTA = new Set([
  "n",
  "time",
  "guest",
  "dataEnd",
  "ripHigh",
  "ripLow",
  "addressHigh",
  "addressLow",
  "consoleRow",
]);
/** Columns that are bytes already. */
const BYTES = new Set(["data", "notes", "consoleByte", "consoleDevice"]);
const HALF = 32n;
const LOW = 0xffff_ffffn;

/** Makes a trace's summary and its packed rows, not yet compressed. */
export function packTrace(
  trace: Trace,
  source: string,
  version: string,
): { summary: TraceSummary; bytes: Uint8Array<ArrayBuffer> } {
  const { rows, console } = trace;
  const { reasons, accesses, addresses, rips, notes } = rows.tables;
  const regions = regionsOf(trace.begin, rows);
  const range = widened(wholeRange(rows));
  const whole = aggregate(prepare(rows, regions), everyRow(rows), range, OVERVIEW_BINS);
  const named = (values: readonly bigint[], { bars }: Aggregates["byPort"]) =>
    Object.fromEntries(bars.map(({ key }) => [key, values[key as number]!]));
  const high = (values: readonly bigint[]) => values.map((value) => Number(value >> HALF));
  const low = (values: readonly bigint[]) => values.map((value) => Number(value & LOW));
  const sources: Record<string, ArrayLike<number>> = {
    n: rows.n,
    time: rows.time,
    guest: rows.guest,
    cpu: rows.cpu,
    reason: rows.reason,
    rip: rows.rip,
    address: rows.address,
    access: rows.access,
    note: rows.note,
    dataEnd: rows.dataEnd,
    data: rows.data,
    ripHigh: high(rips),
    ripLow: low(rips),
    addressHigh: high(addresses),
    addressLow: low(addresses),
    notes: new TextEncoder().encode(notes.map((note) => note.replaceAll("\n", " ")).join("\n")),
    consoleByte: console.bytes,
    consoleDevice: console.device,
    consoleRow: console.row,
  };
  const columns: PackedColumn[] = [];
  const packed = Object.entries(sources).map(([name, values]) => {
    const bytes = BYTES.has(name) ? values as Uint8Array : encodeVarints(values, DELTA.has(name));
    columns.push({ name, length: values.length, size: bytes.length });
    return bytes;
  });
  const bytes = new Uint8Array(packed.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of packed) {
    bytes.set(part, at);
    at += part.length;
  }
  const summary: TraceSummary = {
    source,
    version,
    begin: trace.begin,
    outcome: trace.outcome,
    warnings: trace.warnings,
    remarks: trace.remarks,
    rows: rows.length,
    reasons,
    accesses,
    consoles: console.devices,
    consoleLines: consoleLines(console).length,
    regions,
    columns,
    overview: {
      ...whole,
      counts: [...whole.counts as Uint32Array],
      addresses: named(addresses, whole.byPort),
      rips: named(rips, whole.byRip),
    },
  };
  return { summary, bytes };
}

/** A range of time that is wide enough to be drawn. */
function widened({ from, to }: TimeRange): TimeRange {
  const missing = LEAST_RANGE - (to - from);
  if (missing <= 0) return { from, to };
  const start = Math.max(0, from - Math.floor(missing / 2));
  return { from: start, to: start + LEAST_RANGE };
}

/** Reads packed rows. */
export function unpackTrace(
  summary: TraceSummary,
  bytes: Uint8Array<ArrayBuffer>,
): { rows: Rows; console: ConsoleOutput } {
  const found = new Map<string, { length: number; bytes: Uint8Array<ArrayBuffer> }>();
  let at = 0;
  for (const { name, length, size } of summary.columns) {
    found.set(name, { length, bytes: bytes.subarray(at, at + size) });
    at += size;
  }
  const raw = (name: string): Uint8Array<ArrayBuffer> => found.get(name)!.bytes;
  const column = <T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(
    name: string,
    make: new (length: number) => T,
  ): T => {
    const { length, bytes } = found.get(name)!;
    return decodeVarints(bytes, new make(length), DELTA.has(name));
  };
  const wide = (name: string): bigint[] => {
    const low = column(`${name}Low`, Uint32Array);
    return Array.from(
      column(`${name}High`, Uint32Array),
      (high, i) => (BigInt(high) << HALF) | BigInt(low[i]!),
    );
  };
  const rows: Rows = {
    length: summary.rows,
    n: column("n", Float64Array),
    time: column("time", Float64Array),
    guest: column("guest", Float64Array),
    cpu: column("cpu", Uint16Array),
    reason: column("reason", Uint16Array),
    rip: column("rip", Uint32Array),
    address: column("address", Uint32Array),
    access: column("access", Uint32Array),
    note: column("note", Uint32Array),
    dataEnd: column("dataEnd", Uint32Array),
    data: raw("data"),
    tables: {
      reasons: summary.reasons,
      accesses: summary.accesses,
      rips: wide("rip"),
      addresses: wide("address"),
      notes: new TextDecoder().decode(raw("notes")).split("\n"),
    },
  };
  const console: ConsoleOutput = {
    bytes: raw("consoleByte"),
    device: raw("consoleDevice"),
    row: column("consoleRow", Uint32Array),
    devices: summary.consoles,
  };
  return { rows, console };
}

/** JSON in which 64-bit numbers are `{"$":"0x…"}`, and which HTML cannot mistake for its own. */
export function stringify(value: unknown): string {
  return JSON.stringify(
    value,
    (_, item) => typeof item === "bigint" ? { $: "0x" + item.toString(16) } : item,
  ).replaceAll("<", "\\u003c");
}

/** Reads what {@linkcode stringify} wrote. */
export function parse<T>(text: string): T {
  return JSON.parse(
    text,
    (_, item) => typeof item?.$ === "string" ? BigInt(item.$) : item,
  ) as T;
}

/** Compresses bytes and writes them in base 64. */
export async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return (await new Response(stream).bytes()).toBase64();
}

/** Reads what {@linkcode deflate} wrote. */
export async function inflate(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const binary = atob(text);
  const packed = new Uint8Array(binary.length);
  for (let i = 0; i < packed.length; i++) packed[i] = binary.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
