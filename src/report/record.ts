/**
 * Reads the records of a trace. Whoever wrote the file may have written anything.
 *
 * @module
 */

import { SCHEMA_VERSION } from "../trace/record.ts";
import type { Line } from "./lines.ts";
import { TraceError } from "./trace_error.ts";

/** Some fields by name. */
export type Fields = Readonly<Record<string, unknown>>;

/** A range of guest physical memory. */
export interface MemoryRange {
  readonly gpa: bigint;
  readonly size: bigint;
  /** A slot's or a hole's kind, or the name of what was loaded. */
  readonly name: string;
}

/** What ran, and on which machine. */
export interface BeginFacts {
  readonly version: string;
  readonly image: string;
  readonly boot: string;
  readonly machine: string;
  readonly cpus: number;
  readonly memory: bigint;
  readonly slots: readonly MemoryRange[];
  readonly holes: readonly MemoryRange[];
  readonly loaded: readonly MemoryRange[];
}

/** An exit, its payload not yet looked at. */
export interface ExitFacts {
  readonly n: number;
  readonly tUs: number;
  readonly cpu: number;
  readonly guestUs: number | undefined;
  readonly reason: string;
  readonly code: number;
  readonly rip: bigint | undefined;
  readonly payload: Fields;
}

/** How a run ended. */
export interface OutcomeFacts {
  readonly kind: string;
  readonly exitCode: number;
  readonly message: string;
  readonly exits: number;
  readonly tUs: number;
  readonly guestUs: number | undefined;
}

/** A record of a trace; `other` is one of a type that this version does not know. */
export type TraceRecord =
  | { readonly type: "begin"; readonly begin: BeginFacts }
  | { readonly type: "exit"; readonly exit: ExitFacts }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "outcome"; readonly outcome: OutcomeFacts }
  | { readonly type: "other" };

/** More vCPUs than KVM allows (KVM_MAX_VCPUS) are no machine's. */
const MAX_CPUS = 4096;
/** Thirty years. */
const MAX_US = 1e15;
const MAX_NAME_UNITS = 64;
const MAX_TEXT_UNITS = 4096;

/**
 * Reads one line.
 *
 * @throws {TraceError} which names the line and the field
 *
 * @example
 * ```ts
 * import { readRecord } from "./record.ts";
 * const text = '{"type":"warning","v":1,"message":"mind the gap"}';
 * console.log(readRecord({ number: 1, text, whole: true }).type); // "warning"
 * ```
 */
export function readRecord(line: Line): TraceRecord {
  try {
    return recordOf(parse(line.text));
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new TraceError(`line ${line.number}: ${error.message}`);
  }
}

function parse(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    if (/^(?:#\d+ \+|--- \d|vmexit: )/.test(text)) {
      throw new TraceError("a trace in text; a report needs one of vmexit run --format json");
    }
    throw new TraceError("not a JSON record");
  }
  if (!isFields(value)) throw new TraceError("not a JSON record");
  return value;
}

function recordOf(fields: Fields): TraceRecord {
  const type = fields.type;
  if (fields.v !== SCHEMA_VERSION) {
    throw new TraceError(
      `v is ${show(fields.v)}; this version of vmexit reads records with v ${SCHEMA_VERSION}`,
    );
  }
  switch (type) {
    case "exit":
      return { type, exit: exitOf(fields) };
    case "begin":
      return { type, begin: beginOf(fields) };
    case "outcome":
      return { type, outcome: outcomeOf(fields) };
    case "warning":
      return { type, message: text(fields, "message") };
    default:
      return { type: "other" };
  }
}

function exitOf(fields: Fields): ExitFacts {
  const reason = fields.reason;
  if (
    typeof reason !== "string" || reason.length > MAX_NAME_UNITS || !/^[A-Z0-9_]+$/.test(reason)
  ) {
    throw wrong(fields, "reason");
  }
  const payload = fields[reason.toLowerCase()];
  return {
    n: whole(fields, "n", 1),
    tUs: time(fields, "t_us"),
    cpu: whole(fields, "cpu", 0, MAX_CPUS - 1),
    guestUs: fields.guest_us === undefined ? undefined : time(fields, "guest_us"),
    reason,
    code: whole(fields, "code", 0, 0xffff_ffff),
    rip: fields.rip === undefined ? undefined : hexNumber(fields, "rip"),
    payload: isFields(payload) ? payload : {},
  };
}

function beginOf(fields: Fields): BeginFacts {
  return {
    version: text(fields, "version"),
    image: text(fields, "image"),
    boot: text(fields, "boot"),
    machine: text(fields, "machine"),
    cpus: whole(fields, "cpus", 1, MAX_CPUS),
    memory: hexNumber(fields, "memory"),
    slots: ranges(fields, "slots", "kind"),
    holes: ranges(fields, "holes", "kind"),
    loaded: ranges(fields, "loaded", "name"),
  };
}

function outcomeOf(fields: Fields): OutcomeFacts {
  return {
    kind: text(fields, "kind"),
    exitCode: whole(fields, "exit_code", 0, 255),
    message: text(fields, "message"),
    exits: whole(fields, "exits", 0),
    tUs: time(fields, "t_us"),
    guestUs: fields.guest_us === undefined ? undefined : time(fields, "guest_us"),
  };
}

function ranges(fields: Fields, name: string, label: string): MemoryRange[] {
  const list = fields[name];
  if (!Array.isArray(list)) throw wrong(fields, name);
  return list.map((item: unknown) => {
    if (!isFields(item)) throw wrong(fields, name);
    return { gpa: hexNumber(item, "gpa"), size: hexNumber(item, "size"), name: text(item, label) };
  });
}

/** Whether a value is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field that is a number of up to 64 bits in hexadecimal. @throws {TraceError} */
export function hexNumber(fields: Fields, name: string): bigint {
  const value = fields[name];
  if (typeof value !== "string" || !/^0x[0-9a-f]{1,16}$/.test(value)) throw wrong(fields, name);
  return BigInt(value);
}

/** A field that is an integer within limits. @throws {TraceError} */
export function whole(
  fields: Fields,
  name: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw wrong(fields, name);
  }
  return value;
}

/** A field that is bytes, two digits each. @throws {TraceError} */
export function hexText(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string" || !/^(?:[0-9a-f]{2})*$/.test(value)) throw wrong(fields, name);
  return value;
}

function time(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !(value >= 0) || value > MAX_US) throw wrong(fields, name);
  return value;
}

/** A field that is text; what is absurdly long is cut. @throws {TraceError} */
export function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw wrong(fields, name);
  return value.slice(0, MAX_TEXT_UNITS);
}

function wrong(fields: Fields, name: string): TraceError {
  return new TraceError(`${name} is ${show(fields[name])}, which no record has`);
}

function show(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 40);
}
