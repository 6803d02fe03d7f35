/**
 * Validates a test file against its schema, and explains each problem in a line with its place.
 *
 * @module
 */

import { Ajv2020, type ErrorObject } from "ajv/2020";
import { nearestName } from "../nearest.ts";
import type { Schema } from "../shape.ts";
import { inOrder, type Problem } from "./position.ts";
import { pointerTo, type TomlFile } from "./toml.ts";

/** Keywords that only summarize other errors. */
const SUMS: ReadonlySet<string> = new Set(["if", "oneOf", "anyOf", "not"]);

/** Finds the problems of a file. */
export type Validator = (path: string, file: TomlFile) => Promise<Problem[]>;

/**
 * Makes a validator of a schema.
 *
 * @example
 * ```ts
 * import { readToml } from "./toml.ts";
 * import { compileValidator } from "./validate.ts";
 * const validate = compileValidator({ properties: { a: { type: "string" } } });
 * const [problem] = await validate("x.toml", readToml("x.toml", "a = 1"));
 * console.log(problem?.message); // "a must be a string, and 1 is not"
 * ```
 */
export function compileValidator({ $schema: _, ...schema }: Schema): Validator {
  const ajv = new Ajv2020({ strict: false, allErrors: true, verbose: true });
  const check = ajv.compile(schema);
  return async (path, file) => {
    if (check(file.value)) return [];
    const problems = new Map<string, Problem>();
    // Of several problems at one place the first is shown: an unknown key says more than a missing one.
    const errors = relevant(check.errors ?? [])
      .toSorted((a, b) => Number(a.keyword === "required") - Number(b.keyword === "required"));
    for (const error of errors) {
      const { pointer, message } = await explain(error);
      const at = file.locate(pointer);
      const key = `${at.line}:${at.column}`;
      if (!problems.has(key)) problems.set(key, { path, at, message });
    }
    return inOrder([...problems.values()]);
  };
}

/** Where all alternatives fail, each complains; their summary is clearer, unless one got deeper. */
function relevant(errors: readonly ErrorObject[]): ErrorObject[] {
  const sums = errors.filter(({ keyword }) => keyword === "oneOf" || keyword === "anyOf");
  const isPartOf = (error: ErrorObject, sum: ErrorObject): boolean =>
    error !== sum && error.schemaPath.startsWith(`${sum.schemaPath}/`) ||
    // An alternative that is a reference has the path of its target.
    (error !== sum && error.instancePath === sum.instancePath && error.keyword === "enum");
  const deeper = (sum: ErrorObject): boolean =>
    errors.some((error) =>
      isPartOf(error, sum) && (error.instancePath.length > sum.instancePath.length ||
        error.keyword === "additionalProperties")
    );
  return errors.filter((error) => {
    if (error.keyword === "if") return false;
    if (SUMS.has(error.keyword)) return !deeper(error);
    return !sums.some((sum) =>
      error.instancePath === sum.instancePath && isPartOf(error, sum) &&
      error.keyword !== "additionalProperties"
    );
  });
}

async function explain(
  { instancePath, keyword, params, parentSchema, data, message, propertyName }: ErrorObject,
): Promise<{ pointer: string; message: string }> {
  const name = instancePath.slice(instancePath.lastIndexOf("/") + 1).replaceAll("~1", "/");
  const subject = /^\d*$/.test(name) ? "this" : name;
  const schema = (parentSchema ?? {}) as Schema;
  switch (keyword) {
    case "additionalProperties": {
      const given = String(params.additionalProperty);
      const near = await nearestName(given, Object.keys(schema.properties ?? {}));
      return {
        pointer: pointerTo(instancePath, given),
        message: `unknown key "${given}"` +
          (near === undefined
            ? ""
            : `; did you mean ${isTables(schema, near) ? `[[${near}]]` : near}?`),
      };
    }
    case "propertyNames":
    case "enum": {
      const key = keyword === "propertyNames" ? params.propertyName : propertyName;
      const given = String(key ?? data);
      const choices = (schema.enum ?? params.allowedValues ?? []) as readonly unknown[];
      const near = await nearestName(given, choices.map(String));
      const known = choices.length > 0 && choices.length <= 8 ? ` of ${choices.join(", ")}` : "";
      return {
        pointer: key === undefined ? instancePath : pointerTo(instancePath, String(key)),
        message: `"${given}" is not one${known}` + (known === "" ? " of the known names" : "") +
          (near === undefined ? "" : `; did you mean ${near}?`),
      };
    }
    case "required": {
      const missing = String(params.missingProperty);
      const item = isTables(schema, missing) ? `; write each ${missing} as [[${missing}]]` : "";
      return { pointer: instancePath, message: `the key "${missing}" is missing${item}` };
    }
    case "type": {
      if (params.type === "array" && isTable(schema.items) && typeof data === "object") {
        const message = `write [[${name}]] with two brackets, for there may be several`;
        return { pointer: instancePath, message };
      }
      const wanted = [params.type].flat().map((type) => TYPE_NAMES[type as string] ?? type);
      return {
        pointer: instancePath,
        message: `${subject} must be ${wanted.join(" or ")}, and ${shown(data)} is not`,
      };
    }
    default: {
      const help = typeof schema.description === "string" ? schema.description : undefined;
      const choices = allChoices(schema);
      const near = typeof data === "string" ? await nearestName(data, choices) : undefined;
      const what = near === undefined ? help ?? message : `did you mean ${near}?`;
      return { pointer: instancePath, message: `${subject} cannot be ${shown(data)}: ${what}` };
    }
  }
}

/** Whether a property is an array of tables. */
function isTables(schema: Schema, name: string): boolean {
  const property = (schema.properties as Readonly<Record<string, Schema>>)[name];
  return property?.type === "array" && isTable(property.items);
}

/** Whether a schema is that of a test's table, which TOML can write under a heading. */
function isTable(schema: unknown): boolean {
  return typeof schema === "object" && schema !== null && "$ref" in schema &&
    schema.$ref === "#/definitions/test";
}

/** The words that the alternatives of a schema allow. */
function allChoices(schema: Schema): string[] {
  const alternatives = [schema.oneOf, schema.anyOf].flat() as readonly (Schema | undefined)[];
  return alternatives.flatMap((each) => (each?.enum ?? []) as string[]);
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  array: "an array",
  object: "a table",
};

function shown(data: unknown): string {
  const text = JSON.stringify(data) ?? String(data);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
