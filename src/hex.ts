/**
 * Numbers and bytes as the whole project shows them.
 *
 * @module
 */

/** A number: `0x3f8`. */
export function hex(value: number | bigint): string {
  return "0x" + value.toString(16);
}

/** Bytes in memory order, two digits each: `4869`. */
export function hexBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Little-endian bytes as one number of full width: `0x0048`. */
export function hexValue(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text = byte.toString(16).padStart(2, "0") + text;
  return "0x" + text;
}
