/**
 * Byte arrays joined into one, for tables and files that are made of parts.
 *
 * @module
 */

/**
 * All parts, one after the other.
 *
 * @example
 * ```ts
 * import { concat } from "./bytes.ts";
 * console.log(concat([Uint8Array.of(1, 2), Uint8Array.of(3)])); // Uint8Array(3) [1, 2, 3]
 * ```
 */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
