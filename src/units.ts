/**
 * Sizes and addresses as people write them.
 *
 * @module
 */

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/**
 * A size in bytes: a decimal or hexadecimal number with an optional suffix
 * K, M, G or T (powers of 1024, `KiB` and `KB` too).
 *
 * @returns `undefined` if it is not a size, or more than 2^53
 *
 * @example
 * ```ts
 * import { sizeBytesOf } from "./units.ts";
 * console.log(sizeBytesOf("128M")); // 134217728
 * ```
 */
export function sizeBytesOf(text: string): number | undefined {
  const match = /^(0x[0-9a-f]+|\d+)([kmgt]?)(i?b)?$/i.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[match[2]!.toLowerCase()]! : NaN;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** An address: decimal, or hexadecimal with 0x. @returns `undefined` if it is not one */
export function addressOf(text: string): bigint | undefined {
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text) || BigInt(text) >= 1n << 64n) return undefined;
  return BigInt(text);
}
