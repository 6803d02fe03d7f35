/**
 * Builds a trace in memory, in columns, from the records that src/trace reads.
 *
 * @module
 */

import { ConsoleReader } from "./console.ts";
import { linesOf } from "./lines.ts";
import type { JsonObject } from "../shape.ts";
import { payloadOf, readRecord, TraceError } from "../trace/read.ts";
import type { BeginRecord, ExitRecord, OutcomeRecord, TraceRecord } from "../trace/records.ts";
import {
  type AccessRow,
  type ConsoleOutput,
  type Reason,
  type Rows,
  type Space,
  spaceOf,
} from "./rows.ts";
import { NumberColumn } from "./varint.ts";

/** A trace. */
export interface Trace {
  readonly rows: Rows;
  readonly console: ConsoleOutput;
  readonly begin: BeginRecord | undefined;
  readonly outcome: OutcomeRecord | undefined;
  readonly warnings: readonly string[];
  /** Remarks about the trace itself. */
  readonly remarks: readonly string[];
}

/** Bytes of data that are kept for each exit, besides console output. */
const MAX_DATA_BYTES = 16;
const MAX_WARNINGS = 1000;
const MAX_REASONS = 4096;
/** KVM_MAX_VCPUS of x86. */
const MAX_CPUS = 4096;
/** Thirty years. */
const MAX_US = 1e15;

/** Values that columns refer to by number. Number 0 stands for none. */
class Table<T> {
  readonly #index = new Map<string | bigint, number>();
  readonly #none: string | bigint;

  constructor(readonly values: T[], none: string | bigint) {
    this.#none = none;
  }

  /** The number of a value; new values are added. */
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

/** Payload fields that are in columns, or repeat one. */
const COLUMN_FIELDS = new Set([
  "direction",
  "port",
  "gpa",
  "size",
  "count",
  "data",
  "device",
  "index",
]);
const FAULT_COLUMN_FIELDS = COLUMN_FIELDS.union(
  new Set(["access", "flags", "rip", "gva", "instruction_rip"]),
);

/**
 * Collects records and makes a trace of them.
 *
 * @example
 * ```ts
 * import { TraceBuilder } from "./trace.ts";
 * const builder = new TraceBuilder();
 * builder.add({ type: "warning", v: 1, message: "mind the gap" });
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
  readonly #accesses = new Table<AccessRow>([{ direction: "", size: 0, count: 0, device: "" }], "");
  readonly #notes = new Table<string>([""], "");
  readonly #console = new ConsoleReader();
  readonly #warnings: string[] = [];
  readonly #remarks: string[] = [];
  #begin: BeginRecord | undefined;
  #outcome: OutcomeRecord | undefined;
  #unknown = 0;
  #late = 0;
  #cut = false;
  #lastTime = 0;

  /**
   * Adds a record; `undefined` is one of a type that this version does not know.
   *
   * @throws {TraceError} for values that no run has
   */
  add(record: TraceRecord | undefined): void {
    switch (record?.type) {
      case "exit":
        return this.#exit(record);
      case "begin":
        if (this.#begin) throw new TraceError("a second begin record: are these two traces?");
        this.#begin = record;
        return;
      case "outcome":
        this.#outcome = record;
        return;
      case "warning":
        if (this.#warnings.length < MAX_WARNINGS) this.#warnings.push(record.message);
        return;
      default:
        this.#unknown++;
    }
  }

  /** The last line is incomplete: its writer was killed. */
  cut(): void {
    this.#cut = true;
  }

  #exit(record: ExitRecord): void {
    const { n, t_us: tUs, cpu, guest_us: guestUs, reason, code } = record;
    if (cpu >= MAX_CPUS) throw new TraceError(`cpu is ${cpu}, more than a machine has`);
    for (const us of [tUs, guestUs ?? 0]) {
      if (us > MAX_US) throw new TraceError(`a time of ${us} µs, longer than a run lasts`);
    }
    const rip = record.rip === undefined ? undefined : BigInt(record.rip);
    const payload = payloadOf(record);
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
      remarks.push("There is no outcome record: the run is still going, or was killed.");
    }
    if (this.#cut) remarks.push("The last line is cut off and was skipped.");
    if (this.#late > 0) remarks.push(`${this.#late} exits are earlier than the line before.`);
    if (this.#unknown > 0) remarks.push(`${this.#unknown} records are of an unknown type.`);
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
        builder.add(readRecord(line.text));
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        if (!line.whole) builder.cut();
        else throw error.within(`line ${line.number}`);
      }
    }
  }
  return builder.finish();
}

/** Sorts rows by time where vCPUs wrote them out of order. The sort is stable. */
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

/** Payloads with an address have been checked against their declaration. */
function addressOf(payload: JsonObject, space: Space): bigint | undefined {
  const address = { port: payload.port, msr: payload.index, gpa: payload.gpa, "": null }[space];
  return typeof address === "number" || typeof address === "string" ? BigInt(address) : undefined;
}

function accessOf({ direction, access, size, count, device }: JsonObject): AccessRow | undefined {
  const what = direction ?? access;
  if (typeof what !== "string") return undefined;
  return {
    direction: what,
    size: typeof size === "number" || typeof size === "string" ? Number(size) : 0,
    count: typeof count === "number" ? count : 1,
    device: typeof device === "string" ? device : "",
  };
}

const NO_BYTES = new Uint8Array();

function bytesOf({ data }: JsonObject): Uint8Array {
  return isBytes(data) ? Uint8Array.fromHex(data) : NO_BYTES;
}

function isBytes(value: unknown): value is string {
  return typeof value === "string" && /^(?:[0-9a-f]{2})*$/.test(value);
}

/** The payload fields without a column, as text. */
function noteOf(reason: string, payload: JsonObject): string {
  const inColumns = reason === "MEMORY_FAULT" ? FAULT_COLUMN_FIELDS : COLUMN_FIELDS;
  let note = "";
  for (const [name, value] of Object.entries(payload)) {
    // Data has a column only where it is bytes.
    if (value === null || inColumns.has(name) && (name !== "data" || isBytes(value))) continue;
    const items = Array.isArray(value) ? value : [value];
    if (items.some((item) => typeof item === "object")) continue;
    note += `${note && " "}${name}=${items.join(",")}`;
  }
  return note.slice(0, 1024);
}
