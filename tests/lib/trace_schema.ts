/**
 * Checks records of a trace against docs/trace.schema.json.
 *
 * @module
 */

import { Ajv2020, type AnySchemaObject } from "ajv/2020";
import { fail } from "@std/assert";
import schema from "../../docs/trace.schema.json" with { type: "json" };

/** A record of a trace. */
// deno-lint-ignore no-explicit-any -- what a record holds is what the schema is asked
export type TraceRecord = Record<string, any>;

/** The definitions of the schema. */
export const DEFINITIONS: Readonly<Record<string, AnySchemaObject>> = schema.$defs;

/** The schema, but with fields that it does not name forbidden, where it lets readers ignore them. */
function closed(): AnySchemaObject {
  const definitions = Object.entries(DEFINITIONS).map(([name, definition]) => [
    name,
    definition.type === "object" ? { ...definition, unevaluatedProperties: false } : definition,
  ]);
  return { ...schema, $defs: Object.fromEntries(definitions) };
}

const ajv = new Ajv2020({ strictTypes: false });
const validate = ajv.compile(closed());

/** What is wrong with a record, or `undefined`. */
export function schemaError(record: unknown): string | undefined {
  if (validate(record)) return undefined;
  // Every alternative that does not fit complains; those that look deepest into the record say most.
  const errors = [...validate.errors!]
    .sort((a, b) => b.instancePath.length - a.instancePath.length)
    .map(({ instancePath, message, params }) =>
      `${instancePath} ${message} ${JSON.stringify(params)}`
    );
  return errors.slice(0, 3).join("\n");
}

/** Reads a trace in JSON and sees that each line is what the schema says. */
export function readTrace(lines: readonly string[]): TraceRecord[] {
  return lines.map((line) => {
    const record = JSON.parse(line);
    const error = schemaError(record);
    if (error !== undefined) fail(`${error}\n${line}`);
    return record;
  });
}
