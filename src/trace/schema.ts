/**
 * The JSON Schema of a trace's lines, made from records.ts: docs/trace.schema.json.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { BYTES, exactly, HEX, members, type Named, type Schema } from "../shape.ts";
import {
  ATTEMPT,
  BEGIN,
  CANDIDATE,
  EXIT,
  HOLE,
  LOADED,
  OUTCOME,
  OUTCOMES,
  type OutcomeShape,
  payloadShape,
  REGISTERS,
  SEGMENT,
  SLOT,
  TIME,
  WALK_STEP,
  WARNING,
} from "./records.ts";

const REASONS = [...Object.keys(KVM_EXIT), "UNRECOGNIZED"];

/** What `oneOf` has for an exit's reason. */
function exitBranch(reason: string, code?: number): Schema {
  const payload = payloadShape(reason);
  return members({
    reason: exactly(reason),
    ...(code === undefined ? {} : { code: exactly(code) }),
    ...(payload && { [reason.toLowerCase()]: payload }),
  });
}

function outcomeBranch([kind, { about, code, fields, more }]: [string, OutcomeShape]): Schema {
  return {
    ...(about === undefined ? {} : { description: about }),
    ...members({ ...fields, kind: exactly(kind), exit_code: code }),
    ...more,
  };
}

/**
 * The schema of a trace's lines: docs/trace.schema.json, except for its layout.
 *
 * @example
 * ```ts
 * import { traceSchema } from "./schema.ts";
 * console.log(traceSchema().title); // "vmexit trace record"
 * ```
 */
export function traceSchema(): Schema {
  const payloads = REASONS.map(payloadShape).filter((payload) => payload !== undefined);
  const exit = {
    description: "One VM exit. Its payload, where it has one, stands under its reason's name in " +
      "lower case.",
    ...EXIT.schema,
    oneOf: [
      ...Object.entries(KVM_EXIT).map(([reason, code]) => exitBranch(reason, code)),
      exitBranch("UNRECOGNIZED"),
    ],
  };
  const outcome = {
    description: "How the run ended: always the last record.",
    ...OUTCOME.schema,
    oneOf: Object.entries(OUTCOMES).map(outcomeBranch),
  };
  const definitions: readonly Named[] = [
    ...[HEX, BYTES, TIME, BEGIN],
    { name: "exit", definition: exit },
    WARNING,
    { name: "outcome", definition: outcome },
    ...[...payloads, SLOT, HOLE, LOADED, ATTEMPT, CANDIDATE, WALK_STEP],
    ...[REGISTERS, SEGMENT],
  ];
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "vmexit trace record",
    description: "One line of `vmexit run --format json`. 64-bit values are hexadecimal strings. " +
      "Within a version fields may be added: readers ignore those that they do not know.",
    oneOf: ["begin", "exit", "warning", "outcome"].map((name) => ({ $ref: `#/$defs/${name}` })),
    $defs: Object.fromEntries(definitions.map(({ name, definition }) => [name, definition])),
  };
}
