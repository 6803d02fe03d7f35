/**
 * A whole trace in memory, made from its records.
 *
 * @module
 */

import { ConsoleReader } from "./console.ts";
import { linesOf } from "./lines.ts";
import {
  type BeginFacts,
  type ExitFacts,
  type Fields,
  hexNumber,
  hexText,
  isFields,
  type OutcomeFacts,
  readRecord,
  text,
  type TraceRecord,
  whole,
} from "./record.ts";
import { type Access, type ConsoleOutput, type Reason, type Rows, spaceOf } from "./rows.ts";
import { TraceError } from "./trace_error.ts";
import { NumberColumn } from "./varint.ts";

/** A trace. */
export interface Trace {
  readonly rows: Rows;
  readonly console: ConsoleOutput;
  readonly begin: BeginFacts | undefined;
  readonly outcome: OutcomeFacts | undefined;
  readonly warnings: readonly string[];
  /** What whoever looks at the trace should know about the trace itself. */
  readonly remarks: readonly string[];
}

/** Of each exit's data, so many bytes are kept beside those that went to a console. */
const MAX_DATA_BYTES = 16;
const MAX_WARNINGS = 1000;
const MAX_REASONS = 4096;

/** Values that columns point at by number. The first is that of "none". */
class Table<T> {
  readonly #index = new Map<string | bigint, number>();
  readonly #none: string | bigint;

  constructor(readonly values: T[], none: string | bigint) {
    this.#none = none;
  }

  /** The number of a value, which is added where it is new. */
  index(key: string | bigint, make: () => T): number {
    if (key === this.#none) return 0;
    let index = this.#index.get(key);
    if (index === undefined) {
      index = this.values.push(make()) - 1;
      this.#index.set(key, index);
    }
    return index;
  }
}

/** Fields of payloads that have columns of their own, or say nothing beside them. */
const TOLD = new Set(["direction", "port", "gpa", "size", "count", "data", "device", "index"]);
const TOLD_OF_FAULTS = new Set(["access", "flags", "rip", "gva", "instruction_rip"]);

/**
 * Collects records and makes a trace of them.
 *
 * @example
 * ```ts
 * import { TraceBuilder } from "./trace.ts";
 * const builder = new TraceBuilder();
 * builder.add({ type: "warning", message: "mind the gap" });
 * console.log(builder.finish().warnings); // ["mind the gap"]
 * ```
 */
export class TraceBuilder {
  readonly #n = new NumberColumn();
  readonly #time = new NumberColumn();
  readonly #guest = new NumberColumn();
  readonly #cpu = new NumberColumn();
  readonly #reason = new NumberColumn();
  readonly #rip = new NumberColumn();
  readonly #address = new NumberColumn();
  readonly #access = new NumberColumn();
  readonly #note = new NumberColumn();
  readonly #dataEnd = new NumberColumn();
  readonly #data = new NumberColumn();
  readonly #reasons = new Table<Reason>([], "");
  // 64 bits cannot hold the key of "none".
  readonly #rips = new Table<bigint>([0n], -1n);
  readonly #addresses = new Table<bigint>([0n], -1n);
  readonly #accesses = new Table<Access>([{ direction: "", size: 0, count: 0, device: "" }], "");
  readonly #notes = new Table<string>([""], "");
  readonly #console = new ConsoleReader();
  readonly #warnings: string[] = [];
  readonly #remarks: string[] = [];
  #begin: BeginFacts | undefined;
  #outcome: OutcomeFacts | undefined;
  #unknown = 0;
  #late = 0;
  #cut = false;
  #lastTime = 0;

  /** Adds a record. @throws {TraceError} for a payload that no exit has */
  add(record: TraceRecord): void {
    switch (record.type) {
      case "exit":
        return this.#exit(record.exit);
      case "begin":
        if (this.#begin) throw new TraceError("a second begin record: are these two traces?");
        this.#begin = record.begin;
        return;
      case "outcome":
        this.#outcome = record.outcome;
        return;
      case "warning":
        if (this.#warnings.length < MAX_WARNINGS) this.#warnings.push(record.message);
        return;
      default:
        this.#unknown++;
    }
  }

  /** The last line has no end: whoever wrote it was cut short. */
  cut(): void {
    this.#cut = true;
  }

  #exit({ n, tUs, cpu, guestUs, reason, code, rip, payload }: ExitFacts): void {
    const row = this.#n.length;
    const time = Math.round(tUs * 10);
    if (time < this.#lastTime) this.#late++;
    this.#lastTime = time;
    const space = spaceOf(reason);
    const address = addressOf(payload, space);
    const access = accessOf(payload);
    const bytes = bytesOf(payload);
    if (space === "port" && access?.direction === "out") {
      this.#console.out(row, access.device, Number(address), access.size, bytes);
    }
    this.#n.push(n);
    this.#time.push(time);
    this.#guest.push(guestUs === undefined ? 0 : Math.round(guestUs * 10) + 1);
    this.#cpu.push(cpu);
    this.#reason.push(this.#reasons.index(`${reason} ${code}`, () => ({ name: reason, code })));
    if (this.#reasons.values.length > MAX_REASONS) throw new TraceError("too many exit reasons");
    this.#rip.push(rip === undefined ? 0 : this.#rips.index(rip, () => rip));
    this.#address.push(address === undefined ? 0 : this.#addresses.index(address, () => address));
    this.#access.push(
      access ? this.#accesses.index(Object.values(access).join(), () => access) : 0,
    );
    const note = noteOf(reason, payload);
    this.#note.push(this.#notes.index(note, () => note));
    for (const byte of bytes.subarray(0, MAX_DATA_BYTES)) this.#data.push(byte);
    this.#dataEnd.push(this.#data.length);
  }

  /** The trace. */
  finish(): Trace {
    const remarks = [...this.#remarks];
    if (!this.#begin) {
      remarks.push("There is no begin record: memory is drawn from what the exits touched.");
    }
    if (!this.#outcome) {
      remarks.push("There is no outcome record: the run has not ended, or was killed.");
    }
    if (this.#cut) remarks.push("The last line is cut off and was left out.");
    if (this.#late > 0) remarks.push(`${this.#late} exits are earlier than the line before.`);
    if (this.#unknown > 0) remarks.push(`${this.#unknown} records are of no known type.`);
    return {
      ...inOrder(this.#rows(), this.#console.finish(), this.#late > 0),
      begin: this.#begin,
      outcome: this.#outcome,
      warnings: this.#warnings,
      remarks,
    };
  }

  #rows(): Rows {
    return {
      length: this.#n.length,
      n: this.#n.values(),
      time: this.#time.values(),
      guest: this.#guest.values(),
      cpu: Uint16Array.from(this.#cpu.values()),
      reason: Uint16Array.from(this.#reason.values()),
      rip: Uint32Array.from(this.#rip.values()),
      address: Uint32Array.from(this.#address.values()),
      access: Uint32Array.from(this.#access.values()),
      note: Uint32Array.from(this.#note.values()),
      dataEnd: Uint32Array.from(this.#dataEnd.values()),
      data: Uint8Array.from(this.#data.values()),
      tables: {
        reasons: this.#reasons.values,
        rips: this.#rips.values,
        addresses: this.#addresses.values,
        accesses: this.#accesses.values,
        notes: this.#notes.values,
      },
    };
  }
}

/**
 * Reads a trace from the lines that `vmexit run --format json` writes.
 *
 * @throws {TraceError} which names the line
 */
export async function readTrace(stream: AsyncIterable<Uint8Array>): Promise<Trace> {
  const builder = new TraceBuilder();
  for await (const lines of linesOf(stream)) {
    for (const line of lines) {
      try {
        builder.add(readRecord(line));
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        if (line.whole) {
          if (error.message.startsWith("line ")) throw error;
          throw new TraceError(`line ${line.number}: ${error.message}`);
        }
        builder.cut();
      }
    }
  }
  return builder.finish();
}

/** Sorts rows by time, where vCPUs wrote them out of order; those of one moment keep theirs. */
function inOrder(
  rows: Rows,
  console: ConsoleOutput,
  isNeeded: boolean,
): Pick<Trace, "rows" | "console"> {
  if (!isNeeded) return { rows, console };
  const order = Uint32Array.from({ length: rows.length }, (_, i) => i);
  order.sort((a, b) => rows.time[a]! - rows.time[b]! || a - b);
  const place = new Uint32Array(rows.length);
  order.forEach((from, to) => place[from] = to);
  const pick = <T extends Float64Array | Uint32Array | Uint16Array>(column: T): T => {
    const sorted = column.slice() as T;
    order.forEach((from, to) => sorted[to] = column[from]!);
    return sorted;
  };
  const data = new Uint8Array(rows.data.length);
  const dataEnd = new Uint32Array(rows.length);
  let end = 0;
  order.forEach((from, to) => {
    const bytes = rows.data.subarray(from === 0 ? 0 : rows.dataEnd[from - 1], rows.dataEnd[from]);
    data.set(bytes, end);
    dataEnd[to] = end += bytes.length;
  });
  return {
    rows: {
      ...rows,
      n: pick(rows.n),
      time: pick(rows.time),
      guest: pick(rows.guest),
      cpu: pick(rows.cpu),
      reason: pick(rows.reason),
      rip: pick(rows.rip),
      address: pick(rows.address),
      access: pick(rows.access),
      note: pick(rows.note),
      data,
      dataEnd,
    },
    console: { ...console, row: console.row.map((row) => place[row]!) },
  };
}

function addressOf(payload: Fields, space: string): bigint | undefined {
  if (space === "port") return BigInt(whole(payload, "port", 0, 0xffff));
  if (space === "msr") return BigInt(whole(payload, "index", 0, 0xffff_ffff));
  if (space !== "gpa" || payload.gpa === null) return undefined;
  return hexNumber(payload, "gpa");
}

function accessOf(payload: Fields): Access | undefined {
  const name = payload.direction === undefined ? "access" : "direction";
  if (payload[name] === undefined) return undefined;
  return {
    direction: text(payload, name),
    size: typeof payload.size === "string"
      ? Number(hexNumber(payload, "size"))
      : payload.size === undefined
      ? 0
      : whole(payload, "size", 0),
    count: payload.count === undefined ? 1 : whole(payload, "count", 1),
    device: payload.device === undefined ? "" : text(payload, "device"),
  };
}

const NO_BYTES = new Uint8Array();

function bytesOf(payload: Fields): Uint8Array {
  return typeof payload.data === "string" && !payload.data.startsWith("0x")
    ? Uint8Array.fromHex(hexText(payload, "data"))
    : NO_BYTES;
}

/** What a payload has that no column has. */
function noteOf(reason: string, payload: Fields): string {
  const isFault = reason === "MEMORY_FAULT";
  let note = "";
  for (const [name, value] of Object.entries(payload)) {
    const isTold = TOLD.has(name) && !(name === "data" && typeof value === "string" &&
      value.startsWith("0x"));
    if (isTold && !(name === "data" && Array.isArray(value))) continue;
    if (isFault && TOLD_OF_FAULTS.has(name) || value === null || isFields(value)) continue;
    note += `${note && " "}${name}=${Array.isArray(value) ? value.join(",") : value}`;
  }
  return note.slice(0, 1024);
}
