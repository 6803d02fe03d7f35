/**
 * The JSON Schema of test files. validate.ts checks files against it, and editors complete from it:
 * docs/test.schema.json.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import type { Schema } from "../shape.ts";
import { OUTCOMES } from "../trace/records.ts";
import { CONDITION_NAMES } from "./condition.ts";
import type { RunOption } from "./test_case.ts";

/** How a run can end; only a program around the library stops one. */
export const OUTCOME_KINDS: readonly string[] = Object.keys(OUTCOMES)
  .filter((kind) => kind !== "stopped");

/** Options that make no sense in a test. */
const FOREIGN_OPTIONS = ["help"];

const SCALAR = ["string", "number"];
const TEXTS: Schema = { type: ["string", "array"], items: { type: "string" } };
const COUNT: Schema = { type: "integer", minimum: 0 };
const ADDRESS: Schema = {
  description: 'An address, or a range of them: 0x3f8, "0x3f8" or "0x3f8-0x3ff".',
  type: ["integer", "string"],
  minimum: 0,
  pattern: "^(0x[0-9a-fA-F]{1,16}|[0-9]{1,19})( *- *(0x[0-9a-fA-F]{1,16}|[0-9]{1,19}))?$",
};
const REASON: Schema = {
  description: "An exit reason: KVM_EXIT_* without the prefix.",
  enum: [...Object.keys(KVM_EXIT), "UNRECOGNIZED"],
};
const DURATION: Schema = { type: "string", pattern: "^[0-9]+([.][0-9]+)?(ms|s|m|h)$" };

const PATTERN: Readonly<Record<string, Schema>> = {
  reason: REASON,
  port: { $ref: "#/definitions/address" },
  gpa: { $ref: "#/definitions/address" },
  direction: { enum: ["in", "out", "read", "write"] },
};
const LIMITS: Readonly<Record<string, Schema>> = { min: COUNT, max: COUNT };

/** A schema with a description for editors and messages. */
function described(description: string, schema: Schema): Schema {
  return { description, ...schema };
}

function table(properties: Readonly<Record<string, Schema>>, more: Schema = {}): Schema {
  return { properties, additionalProperties: false, ...more };
}

/** The schema of an option's value in a test. */
function optionSchema({ value, repeat, help }: RunOption): Schema {
  const description = `vmexit run: ${help}`;
  if (value === undefined) return { description, type: "boolean" };
  if (!repeat) return { description, type: SCALAR };
  return { description, type: [...SCALAR, "array"], items: { type: SCALAR } };
}

/** The options of `vmexit run` that a test may give. */
export function testOptions(options: readonly RunOption[]): RunOption[] {
  return options.filter(({ name }) => !FOREIGN_OPTIONS.includes(name));
}

/**
 * The schema of a test file.
 *
 * @param options those of `vmexit run`
 *
 * @example
 * ```ts
 * import { testFileSchema } from "./schema.ts";
 * const schema = testFileSchema([{ name: "memory", value: "SIZE", help: "guest RAM" }]);
 * console.log(JSON.stringify(schema).includes("guest RAM")); // true
 * ```
 */
export function testFileSchema(options: readonly RunOption[]): Schema {
  const own = testOptions(options);
  const optionSchemas = Object.fromEntries(own.map((each) => [each.name, optionSchema(each)]));
  const dimensions = own.map(({ name, value }) => [
    name,
    { type: "array", minItems: 1, items: { type: value === undefined ? "boolean" : SCALAR } },
  ]);
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Smoke tests of vmexit",
    type: "object",
    required: ["test"],
    ...table({
      test: {
        description: "The tests: one [[test]] each.",
        type: "array",
        minItems: 1,
        items: { $ref: "#/definitions/test" },
      },
    }),
    definitions: {
      address: ADDRESS,
      bound: described("How many: a number, or a table with min, max or both.", {
        type: ["integer", "object"],
        minimum: 0,
        minProperties: 1,
        ...table(LIMITS),
      }),
      step: described("An exit: a reason, or a table with reason, port, gpa, direction.", {
        type: ["string", "object"],
        oneOf: [REASON, { type: "object", minProperties: 1, ...table(PATTERN) }],
      }),
      rule: described(
        "How many exits of a kind, or a sequence of them; consecutive allows none between.",
        {
          type: "object",
          ...table({
            ...PATTERN,
            ...LIMITS,
            count: COUNT,
            sequence: { type: "array", minItems: 1, items: { $ref: "#/definitions/step" } },
            consecutive: { type: "array", minItems: 1, items: { $ref: "#/definitions/step" } },
          }),
        },
      ),
      condition: {
        description: "A capability of the host, or NAME>=NUMBER.",
        anyOf: [{ enum: CONDITION_NAMES }, { pattern: "^[A-Za-z0-9_]+ *>= *[0-9]{1,15}$" }],
        type: "string",
      },
      conditions: {
        type: ["string", "array"],
        if: { type: "array" },
        then: { items: { $ref: "#/definitions/condition" } },
        else: { $ref: "#/definitions/condition" },
      },
      test: {
        type: "object",
        required: ["name", "image"],
        ...table({
          ...optionSchemas,
          name: described("The name in reports, unique in this file.", {
            type: "string",
            pattern: "^[^\\u0000-\\u001f]+$",
          }),
          image: described("The image, relative to this file.", { type: "string", minLength: 1 }),
          stdin: described("The standard input of the guest.", { type: "string" }),
          tags: described("Words to select tests by: --tag.", {
            type: "array",
            items: { type: "string" },
          }),
          retry: described("How often a failure is retried (default 0).", COUNT),
          skip_if: described("Skipped where any of these holds.", {
            $ref: "#/definitions/conditions",
          }),
          only_if: described("Skipped unless all of these hold.", {
            $ref: "#/definitions/conditions",
          }),
          matrix: described("Options with several values: one test for each combination.", {
            type: "object",
            minProperties: 1,
            ...table(Object.fromEntries([
              ...dimensions,
              ["image", { type: "array", minItems: 1, items: { type: "string", minLength: 1 } }],
            ])),
          }),
          exit: {
            description: "The exit code, or how the run ends (default 0; with fault, " +
              "memory_fault).",
            oneOf: [{ type: "integer", minimum: 0, maximum: 255 }, { enum: OUTCOME_KINDS }],
          },
          stdout: described("The guest's output: the whole of it, or a table.", {
            type: ["string", "object"],
            minProperties: 1,
            ...table({
              exact: described("The whole output.", { type: "string" }),
              golden: described("A file with the whole output; --update writes it.", {
                type: "string",
                minLength: 1,
              }),
              contains: described("Texts that it contains.", TEXTS),
              regex: described("Patterns that match in it; ^ and $ are a line's.", TEXTS),
              in_order: described("Texts that follow one another.", TEXTS),
              never: described("Texts that it does not contain.", TEXTS),
            }),
          }),
          exits: described("Exits: a table of reasons and how many, or an array of rules.", {
            type: ["object", "array"],
            propertyNames: REASON,
            additionalProperties: { $ref: "#/definitions/bound" },
            items: { $ref: "#/definitions/rule" },
          }),
          fault: described("The memory fault that ends the run.", {
            type: "object",
            minProperties: 1,
            ...table({
              gpa: { $ref: "#/definitions/address" },
              access: { enum: ["read", "write", "fetch", "unknown"] },
            }),
          }),
          within: described("How long the guest may run: 500ms, 5s.", DURATION),
          max_output: described(
            "Bytes of output after which the guest is killed (default 4 MiB).",
            {
              type: "integer",
              minimum: 1,
            },
          ),
          max_exits: described("How many exits there may be.", COUNT),
        }),
      },
    },
  };
}
