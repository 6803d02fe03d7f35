/**
 * Reads a JSON trace line by line. The file may come from anywhere: every field is checked, and
 * only what records.ts declares is passed on to the report and the test runner.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import {
  exactly,
  type Fields,
  isObject,
  type JsonObject,
  readAt,
  readFields,
  type Shape,
  ShapeError,
} from "../shape.ts";
import {
  BEGIN,
  EXIT,
  type ExitRecord,
  OUTCOME,
  type OutcomeRecord,
  OUTCOMES,
  type OutcomeShape,
  payloadShape,
  type TraceRecord,
  WARNING,
} from "./records.ts";
import { SCHEMA_VERSION } from "./version.ts";

const VERSION = exactly(SCHEMA_VERSION);

/** A line that is not a trace record. */
export class TraceError extends Error {
  override readonly name = "TraceError";

  /** The same error, with its place in front. */
  within(place: string): this {
    this.message = `${place}: ${this.message}`;
    return this;
  }
}

/** A trace in text, where one in JSON is needed. */
export class TextTraceError extends TraceError {}

/**
 * Reads one line.
 *
 * @returns the record; `undefined` for a type that this version does not know
 * @throws {TraceError} which names the field
 *
 * @example
 * ```ts
 * import { readRecord } from "./read.ts";
 * console.log(readRecord('{"type":"warning","v":1,"message":"mind the gap"}')?.type); // "warning"
 * ```
 */
export function readRecord(text: string): TraceRecord | undefined {
  const record = parse(text);
  try {
    readAt("v", VERSION, record.v);
    return recordOf(record);
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new TraceError(
      record.v === SCHEMA_VERSION
        ? `not a trace record: ${error.message}`
        : `${error.message}; this version of vmexit reads records with v ${SCHEMA_VERSION}`,
    );
  }
}

/** No record is nested as deeply; what is, would cost memory for each level. */
const MAX_DEPTH = 64;
/** A shorter line cannot cost much. */
const SHORT_UNITS = 1 << 16;

/** Whether a text opens more brackets within one another than a record. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text[i];
    if (unit === '"') {
      do i = text.indexOf('"', i + 1); while (i > 0 && isEscaped(text, i));
      if (i < 0) return false;
    } else if (unit === "[" || unit === "{") {
      if (++depth > MAX_DEPTH) return true;
    } else if (unit === "]" || unit === "}") {
      depth--;
    }
  }
  return false;
}

/** Whether an odd number of backslashes stands before a place. */
function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (text[start - 1] === "\\") start--;
  return (at - start) % 2 === 1;
}

function parse(text: string): JsonObject {
  if (text.length > SHORT_UNITS && isDeep(text)) throw new TraceError("nested too deeply");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not even JSON.
  }
  if (isObject(value)) return value;
  if (/^(?:#\d+ \+|--- \d|vmexit: )/.test(text)) {
    throw new TextTraceError("a trace in text, not in JSON");
  }
  throw new TraceError("not a JSON record");
}

function recordOf(record: JsonObject): TraceRecord | undefined {
  switch (record.type) {
    case "exit":
      return exitOf(record);
    case "begin":
      return readFields(BEGIN.fields, record);
    case "outcome":
      return {
        ...readFields(OUTCOME.fields, record),
        ...readFields(outcomeFields(record), record),
      } as OutcomeRecord;
    case "warning":
      return readFields(WARNING.fields, record);
  }
}

/** An outcome of a later version has a kind that is not known here. */
function outcomeFields({ kind }: JsonObject): Fields {
  const shapes: Readonly<Record<string, OutcomeShape>> = OUTCOMES;
  return Object.hasOwn(shapes, kind as string) ? shapes[kind as string]!.fields ?? {} : {};
}

const PAYLOADS = new Map<unknown, Shape<JsonObject> | undefined>(
  [...Object.keys(KVM_EXIT), "UNRECOGNIZED"].map((reason) => [reason, payloadShape(reason)]),
);

/** An exit with its payload. The payload of an unknown reason is passed on unchecked. */
function exitOf(record: JsonObject): ExitRecord {
  const exit: Record<string, unknown> = readFields(EXIT.fields, record);
  const key = String(record.reason).toLowerCase();
  if (Object.hasOwn(EXIT.fields, key)) return exit as ExitRecord;
  const shape = PAYLOADS.get(record.reason);
  const payload = shape ? readAt(key, shape, record[key]) : record[key];
  if (payload !== undefined) exit[key] = payload;
  return exit as ExitRecord;
}

/** An exit's payload; empty where it has none. */
export function payloadOf(record: ExitRecord): JsonObject {
  const payload = record[record.reason.toLowerCase()];
  return isObject(payload) ? payload : {};
}
