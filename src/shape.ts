/**
 * What a JSON value looks like: one declaration is its JSON Schema, the check of a value that
 * someone else wrote, and its TypeScript type.
 *
 * @module
 */

/** A JSON Schema, or a part of one. */
export type Schema = { readonly [keyword: string]: unknown };

/** What JSON can hold. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A JSON object, not yet looked at. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The form of a value. */
export interface Shape<T> {
  readonly schema: Schema;
  /**
   * What is wrong with a value, or `undefined`.
   *
   * @param at where it stands: `slots[1].gpa`
   */
  check(value: unknown, at: string): string | undefined;
  /** Whether a field of this shape may be absent. */
  readonly optional?: true;
  /** For the type only. */
  readonly type?: T;
}

/** The type of the values of a shape. */
export type Of<S> = S extends Shape<infer T> ? T : never;

/** The fields of an object, by name. */
export type Fields = Readonly<Record<string, Shape<unknown>>>;

/** The type of an object with these fields. */
export type ObjectOf<F extends Fields> =
  & { readonly [K in keyof F as F[K] extends { optional: true } ? never : K]: Of<F[K]> }
  & { readonly [K in keyof F as F[K] extends { optional: true } ? K : never]?: Of<F[K]> };

/** An object's shape, with its fields. */
export interface ObjectShape<F extends Fields> extends Shape<ObjectOf<F>> {
  readonly fields: F;
}

/** A shape with a name in a schema's `$defs`. */
export interface Named {
  readonly name: string;
  readonly definition: Schema;
}

/** A shape that a test of a value makes. */
function shape<T>(schema: Schema, accepts: (value: unknown) => boolean): Shape<T> {
  return { schema, check: (value, at) => accepts(value) ? undefined : `${at} is ${show(value)}` };
}

function show(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 40);
}

/** Any text. */
export const TEXT: Shape<string> = shape({ type: "string" }, (value) => typeof value === "string");

/** `true` or `false`. */
export const BOOLEAN: Shape<boolean> = shape(
  { type: "boolean" },
  (value) => typeof value === "boolean",
);

/** A number that is not negative. */
export const AMOUNT: Shape<number> = shape(
  { type: "number", minimum: 0 },
  (value) => typeof value === "number" && value >= 0,
);

/** Text of a pattern. */
export function matching(pattern: RegExp): Shape<string> {
  return shape(
    { type: "string", pattern: pattern.source },
    (value) => typeof value === "string" && pattern.test(value),
  );
}

/**
 * An integer.
 *
 * @example
 * ```ts
 * import { integer } from "./shape.ts";
 * console.log(integer(0, 0xffff).check(65536, "port")); // "port is 65536"
 * ```
 */
export function integer(minimum: number, maximum?: number): Shape<number> {
  const most = maximum ?? Number.MAX_SAFE_INTEGER;
  return shape(
    { type: "integer", minimum, ...(maximum === undefined ? {} : { maximum }) },
    (value) => Number.isInteger(value) && (value as number) >= minimum && (value as number) <= most,
  );
}

/** One of a few values. */
export function oneOf<const T extends string | number | null>(...values: readonly T[]): Shape<T> {
  return shape({ enum: values }, (value) => values.includes(value as T));
}

/** Exactly this value. */
export function exactly<const T extends string | number>(wanted: T): Shape<T> {
  return shape({ const: wanted }, (value) => value === wanted);
}

/** The value, or null. */
export function nullable<T>(inner: Shape<T>): Shape<T | null> {
  return {
    schema: { oneOf: [inner.schema, { type: "null" }] },
    check: (value, at) => value === null ? undefined : inner.check(value, at),
  };
}

/** An array. */
export function listOf<T>(item: Shape<T>): Shape<readonly T[]> {
  return {
    schema: { type: "array", items: item.schema },
    check(value, at) {
      if (!Array.isArray(value)) return `${at} is ${show(value)}`;
      for (const [i, each] of value.entries()) {
        const problem = item.check(each, `${at}[${i}]`);
        if (problem !== undefined) return problem;
      }
    },
  };
}

/** An object whose keys are data. */
export function mapOf<T>(item: Shape<T>, keys: Schema = {}): Shape<Readonly<Record<string, T>>> {
  return {
    schema: { type: "object", additionalProperties: item.schema, ...keys },
    check(value, at) {
      if (!isObject(value)) return `${at} is ${show(value)}`;
      for (const [key, each] of Object.entries(value)) {
        const problem = item.check(each, `${at}.${key}`);
        if (problem !== undefined) return problem;
      }
    },
  };
}

/** An object. Fields that it does not name are let through: a later version may add some. */
export function object<const F extends Fields>(fields: F): ObjectShape<F> {
  return {
    fields,
    schema: { type: "object", ...members(fields) },
    check(value, at) {
      if (!isObject(value)) return `${at} is ${show(value)}`;
      return checkFields(fields, value, at);
    },
  };
}

/** What is wrong with an object's fields, or `undefined`. @param at where it stands; "" on top */
export function checkFields(fields: Fields, value: JsonObject, at = ""): string | undefined {
  for (const name in fields) {
    const field = fields[name]!;
    const each = value[name];
    if (each === undefined && field.optional) continue;
    const problem = field.check(each, at === "" ? name : `${at}.${name}`);
    if (problem !== undefined) return problem;
  }
}

/** The keywords of an object's schema that its fields make. */
export function members(fields: Fields): Schema {
  const entries = Object.entries(fields);
  const required = entries.filter(([, { optional }]) => !optional).map(([name]) => name);
  return {
    ...(required.length === 0 ? {} : { required }),
    properties: Object.fromEntries(entries.map(([name, { schema }]) => [name, schema])),
  };
}

/** The shape of a field that may be absent. */
export function optional<S extends Shape<unknown>>(inner: S): S & { readonly optional: true } {
  return { ...inner, optional: true };
}

/** A shape with words for who reads its schema. */
export function described<S extends Shape<unknown>>(description: string, inner: S): S {
  return { ...inner, schema: { description, ...inner.schema } };
}

/** A shape that stands under a name in `$defs`, and is referred to. */
export function named<S extends Shape<unknown>>(
  name: string,
  description: string,
  inner: S,
): S & Named {
  const definition = { description, ...inner.schema };
  return { ...inner, name, definition, schema: { $ref: `#/$defs/${name}` } };
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A number of up to 64 bits in hexadecimal. */
export const HEX: Shape<string> & Named = named(
  "hex",
  "An unsigned number of up to 64 bits.",
  matching(/^0x[0-9a-f]{1,16}$/),
);

/** Bytes in memory order. */
export const BYTES: Shape<string> & Named = named(
  "bytes",
  "Bytes in memory order, two digits each.",
  matching(/^([0-9a-f]{2})*$/),
);
