/**
 * The checksum of firmware tables: all bytes together are 0.
 *
 * @module
 */

/**
 * What a byte that is still 0 must become to make the sum 0.
 *
 * @example
 * ```ts
 * import { checksum } from "./checksum.ts";
 * console.log(checksum(new Uint8Array([0xff, 0x00]))); // 1
 * ```
 */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}
