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
   * Reads an untrusted value: the result has this form, and no other fields.
   *
   * @throws {ShapeError}
   */
  read(value: unknown): T;
  /** Whether a field of this shape may be absent. */
  readonly optional?: true;
}

/** A value of another form: `slots[1].gpa is 3`. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";

  /** @param value what stands there */
  constructor(value: unknown) {
    super(` is ${show(value)}`);
  }

  /** The same error, as who looks from outside names its place. @param place `slots` or `[1]` */
  within(place: string): ShapeError {
    const isBeside = /^[ [.]/.test(this.message);
    this.message = place + (isBeside ? "" : ".") + this.message;
    return this;
  }
}

/** A value in a message. What has parts is not looked into: it may be of any depth. */
function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "an array";
  return isObject(value) ? "an object" : JSON.stringify(value).slice(0, 40);
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

/** A shape of values that pass a test. */
export function shape<T>(schema: Schema, accepts: (value: unknown) => boolean): Shape<T> {
  return {
    schema,
    read(value) {
      if (!accepts(value)) throw new ShapeError(value);
      return value as T;
    },
  };
}

/** No text of a record is longer: what is, is cut when it is read. */
const MAX_TEXT_UNITS = 4096;

/** Any text. */
export const TEXT: Shape<string> = {
  schema: { type: "string" },
  read(value) {
    if (typeof value !== "string") throw new ShapeError(value);
    return value.length > MAX_TEXT_UNITS ? value.slice(0, MAX_TEXT_UNITS) : value;
  },
};

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
 * console.log(integer(0, 0xffff).read(0x3f8)); // 1016
 * ```
 */
export function integer(minimum: number, maximum?: number): Shape<number> {
  const most = maximum ?? Number.MAX_SAFE_INTEGER;
  return shape(
    { type: "integer", minimum, ...(maximum === undefined ? {} : { maximum }) },
    (value) => Number.isInteger(value) && (value as number) >= minimum && (value as number) <= most,
  );
}

/** One of a few values. A later version may have more: a check takes what is of the same type. */
export function oneOf<const T extends string | number | null>(...values: readonly T[]): Shape<T> {
  const types = values.map((value) => value === null ? null : typeof value);
  return shape(
    { enum: values },
    (value) => types.includes(value === null ? null : typeof value as "string" | "number"),
  );
}

/** Exactly this value. */
export function exactly<const T extends string | number>(wanted: T): Shape<T> {
  return shape({ const: wanted }, (value) => value === wanted);
}

/** The value, or null. */
export function nullable<T>(inner: Shape<T>): Shape<T | null> {
  return {
    schema: { oneOf: [inner.schema, { type: "null" }] },
    read: (value) => value === null ? null : inner.read(value),
  };
}

/** An array. */
export function listOf<T>(item: Shape<T>): Shape<readonly T[]> {
  return {
    schema: { type: "array", items: item.schema },
    read(value) {
      if (!Array.isArray(value)) throw new ShapeError(value);
      return value.map((each, i) => readAt(`[${i}]`, item, each));
    },
  };
}

/** An object whose keys are data. @param keywords what its schema says of the keys */
export function mapOf<T>(
  item: Shape<T>,
  keywords: Schema = {},
): Shape<Readonly<Record<string, T>>> {
  return {
    schema: { type: "object", additionalProperties: item.schema, ...keywords },
    read(value) {
      if (!isObject(value)) throw new ShapeError(value);
      return Object.fromEntries(
        Object.entries(value).map(([key, each]) => [key, readAt(key, item, each)]),
      );
    },
  };
}

/** An object. Other fields than these are let through, but not read: a later version may add some. */
export function object<const F extends Fields>(fields: F): ObjectShape<F> {
  return {
    fields,
    schema: { type: "object", ...members(fields) },
    read(value) {
      if (!isObject(value)) throw new ShapeError(value);
      return readFields(fields, value);
    },
  };
}

/** Reads the fields of an object. */
export function readFields<F extends Fields>(fields: F, value: JsonObject): ObjectOf<F> {
  const read: Record<string, unknown> = {};
  for (const name in fields) {
    const field = fields[name]!;
    const each = value[name];
    if (each !== undefined || !field.optional) read[name] = readAt(name, field, each);
  }
  return read as ObjectOf<F>;
}

/** Reads a part of a value. @param place where it stands in it */
export function readAt<T>(place: string, part: Shape<T>, value: unknown): T {
  try {
    return part.read(value);
  } catch (error) {
    throw error instanceof ShapeError ? error.within(place) : error;
  }
}

/** An object with other fields for each value of one of them, of which a later version may have more. */
export function variants(key: string, each: Readonly<Record<string, Fields>>): Shape<JsonObject> {
  return {
    schema: { type: "object", required: [key], oneOf: Object.values(each).map(members) },
    read(value) {
      if (!isObject(value)) throw new ShapeError(value);
      const kind = readAt(key, TEXT, value[key]);
      const fields = Object.hasOwn(each, kind) ? each[kind]! : { [key]: TEXT };
      return readFields(fields, value);
    },
  };
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
