/**
 * Packs columns of integers for embedding in a page: little-endian base 128, of the values or of
 * the differences between rows.
 *
 * @module
 */

/** A column under construction. */
export class NumberColumn {
  #values = new Float64Array(1024);
  #length = 0;

  /** How many rows it has. */
  get length(): number {
    return this.#length;
  }

  /** Adds a row: an integer of at most 53 bits. */
  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  /** All rows. They are the column's own, and valid until the next `push`. */
  values(): Float64Array {
    return this.#values.subarray(0, this.#length);
  }
}

/** Seven bits a byte; 53 bits and the sign fit into eight. */
const MAX_BYTES = 8;
const BASE = 128;

/**
 * Writes integers.
 *
 * @param values integers below 2^53; not negative, unless `delta`
 * @param delta whether to write the difference to the row before
 *
 * @example
 * ```ts
 * import { decodeVarints, encodeVarints } from "./varint.ts";
 * const bytes = encodeVarints([1000, 1003, 1001], true);
 * console.log(bytes.length, decodeVarints(bytes, new Float64Array(3), true)); // 4 [1000, 1003, 1001]
 * ```
 */
export function encodeVarints(values: ArrayLike<number>, delta: boolean): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(values.length * 2 + MAX_BYTES);
  let used = 0;
  let before = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const difference = value - before;
    before = value;
    // Zigzag: the sign in the lowest bit.
    let rest = delta ? (difference < 0 ? -2 * difference - 1 : 2 * difference) : value;
    if (used + MAX_BYTES > bytes.length) {
      const grown = new Uint8Array(bytes.length * 2);
      grown.set(bytes);
      bytes = grown;
    }
    while (rest >= BASE) {
      bytes[used++] = (rest % BASE) | BASE;
      rest = Math.floor(rest / BASE);
    }
    bytes[used++] = rest;
  }
  return bytes.slice(0, used);
}

/** Reads what {@linkcode encodeVarints} wrote. @returns `into`, filled */
export function decodeVarints<T extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(
  bytes: Uint8Array,
  into: T,
  delta: boolean,
): T {
  let at = 0;
  let before = 0;
  for (let i = 0; i < into.length; i++) {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++]!;
      value += (byte % BASE) * scale;
      if (byte < BASE) break;
      scale *= BASE;
    }
    if (delta) before += value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    into[i] = delta ? before : value;
  }
  return into;
}
