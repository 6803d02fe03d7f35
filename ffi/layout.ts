/**
 * C struct layouts as data: a name, a size and each field's offset and type.
 * {@linkcode decode} and {@linkcode encode} convert between bytes and objects;
 * hot paths use the offsets with their own view.
 *
 * @module
 */

/** A C scalar. 64-bit scalars are `bigint` in TypeScript, all others `number`. */
export type Scalar = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "u64" | "i64";

/**
 * One field: `[offset, type]`, or `[offset, type, count]` for an array.
 * The type is a scalar or another layout (a nested struct).
 */
export type Field =
  | readonly [offset: number, type: Scalar | Layout]
  | readonly [offset: number, type: Scalar | Layout, count: number];

/** A named set of fields. */
export type Fields = { readonly [name: string]: Field };

/** A C struct (or one member of a C union): its name, size in bytes and fields. */
export interface Layout<F extends Fields = Fields> {
  /** The struct's C name, without the `struct` keyword. */
  readonly name: string;
  /** `sizeof`, in bytes. */
  readonly size: number;
  /** The fields by their C names. */
  readonly fields: F;
}

type ScalarValue<S extends Scalar> = S extends "u64" | "i64" ? bigint : number;
type ElementValue<T> = T extends Scalar ? ScalarValue<T>
  : T extends Layout ? StructOf<T>
  : never;
type ArrayValue<T> = T extends "u8" ? Uint8Array : ElementValue<T>[];

/** The TypeScript value that a layout describes: `StructOf<typeof KVM_REGS>`. */
export type StructOf<L extends Layout> = {
  -readonly [K in keyof L["fields"]]: L["fields"][K] extends readonly [number, infer T, number]
    ? ArrayValue<T>
    : L["fields"][K] extends readonly [number, infer T] ? ElementValue<T>
    : never;
};

type PartialElement<T> = T extends Scalar ? ScalarValue<T>
  : T extends Layout ? PartialStruct<T>
  : never;

/**
 * A `StructOf` in which every field is optional, in nested structs too;
 * missing fields are not written.
 */
export type PartialStruct<L extends Layout> = {
  readonly [K in keyof L["fields"]]?: L["fields"][K] extends readonly [number, infer T, number]
    ? (T extends "u8" ? Uint8Array : readonly PartialElement<T>[])
    : L["fields"][K] extends readonly [number, infer T] ? PartialElement<T>
    : never;
};

const SCALAR_SIZE: Record<Scalar, number> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
};

/**
 * Names a layout.
 *
 * @example
 * ```ts
 * import { layout, sizeOf } from "./layout.ts";
 * const POINT = layout("point", 8, { x: [0, "u32"], y: [4, "u32"] });
 * console.log(sizeOf(POINT)); // 8
 * ```
 *
 * @throws {RangeError} when a field does not fit in the size.
 */
export function layout<const F extends Fields>(name: string, size: number, fields: F): Layout<F> {
  for (const [key, field] of Object.entries(fields)) {
    const end = field[0] + sizeOf(field[1]) * (field[2] ?? 1);
    if (end > size) throw new RangeError(`${name}.${key} ends at ${end}, past the size ${size}`);
  }
  return { name, size, fields };
}

/** The size in bytes of a scalar or a layout. */
export function sizeOf(type: Scalar | Layout): number {
  return typeof type === "string" ? SCALAR_SIZE[type] : type.size;
}

function readScalar(view: DataView, offset: number, type: Scalar): number | bigint {
  switch (type) {
    case "u8":
      return view.getUint8(offset);
    case "i8":
      return view.getInt8(offset);
    case "u16":
      return view.getUint16(offset, true);
    case "i16":
      return view.getInt16(offset, true);
    case "u32":
      return view.getUint32(offset, true);
    case "i32":
      return view.getInt32(offset, true);
    case "u64":
      return view.getBigUint64(offset, true);
    case "i64":
      return view.getBigInt64(offset, true);
  }
}

function writeScalar(view: DataView, offset: number, type: Scalar, value: number | bigint): void {
  switch (type) {
    case "u8":
    case "i8":
      return view.setUint8(offset, Number(value));
    case "u16":
    case "i16":
      return view.setUint16(offset, Number(value), true);
    case "u32":
    case "i32":
      return view.setUint32(offset, Number(value), true);
    case "u64":
    case "i64":
      return view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
  }
}

function readElement(view: DataView, offset: number, type: Scalar | Layout): unknown {
  return typeof type === "string" ? readScalar(view, offset, type) : read(view, offset, type);
}

function read(view: DataView, base: number, shape: Layout): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, [offset, type, count]] of Object.entries(shape.fields)) {
    const at = base + offset;
    if (count === undefined) {
      out[name] = readElement(view, at, type);
    } else if (type === "u8") {
      out[name] = new Uint8Array(view.buffer, view.byteOffset + at, count).slice();
    } else {
      const size = sizeOf(type);
      out[name] = Array.from({ length: count }, (_, i) => readElement(view, at + i * size, type));
    }
  }
  return out;
}

function writeElement(
  view: DataView,
  offset: number,
  type: Scalar | Layout,
  value: unknown,
): void {
  if (typeof type === "string") writeScalar(view, offset, type, value as number | bigint);
  else write(view, offset, type, value as Record<string, unknown>);
}

function write(
  view: DataView,
  base: number,
  shape: Layout,
  value: Readonly<Record<string, unknown>>,
): void {
  for (const [name, [offset, type, count]] of Object.entries(shape.fields)) {
    const field = value[name];
    if (field === undefined) continue;
    if (count === undefined) {
      writeElement(view, base + offset, type, field);
      continue;
    }
    const elements = field as ArrayLike<unknown>;
    if (elements.length > count) {
      throw new RangeError(`${shape.name}.${name} holds ${count}, got ${elements.length}`);
    }
    const size = sizeOf(type);
    for (let i = 0; i < elements.length; i++) {
      writeElement(view, base + offset + i * size, type, elements[i]);
    }
  }
}

function viewOf(shape: Layout, bytes: Uint8Array, offset: number): DataView {
  if (offset < 0 || offset + shape.size > bytes.byteLength) {
    throw new RangeError(
      `${shape.name} takes ${shape.size} bytes at ${offset}, got ${bytes.byteLength}`,
    );
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads a struct from bytes. Arrays and nested structs are copies.
 *
 * @example
 * ```ts
 * import { decode, layout } from "./layout.ts";
 * const POINT = layout("point", 8, { x: [0, "u32"], y: [4, "u32"] });
 * console.log(decode(POINT, new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0]))); // { x: 1, y: 2 }
 * ```
 *
 * @throws {RangeError} when there are fewer than `shape.size` bytes.
 */
export function decode<L extends Layout>(shape: L, bytes: Uint8Array, offset = 0): StructOf<L> {
  return read(viewOf(shape, bytes, offset), offset, shape) as StructOf<L>;
}

/**
 * Writes a struct into new bytes of `shape.size`, or into `into` at `offset`.
 * Missing fields stay as they are (zero in new bytes).
 *
 * @example
 * ```ts
 * import { encode, layout } from "./layout.ts";
 * const POINT = layout("point", 8, { x: [0, "u32"], y: [4, "u32"] });
 * console.log(encode(POINT, { y: 2 })); // Uint8Array [0, 0, 0, 0, 2, 0, 0, 0]
 * ```
 *
 * @throws {RangeError} when an array is longer than its field or the bytes are too few.
 */
export function encode<L extends Layout>(
  shape: L,
  value: PartialStruct<L>,
  into: Uint8Array<ArrayBuffer> = new Uint8Array(shape.size),
  offset = 0,
): Uint8Array<ArrayBuffer> {
  write(viewOf(shape, into, offset), offset, shape, value);
  return into;
}
