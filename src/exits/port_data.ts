/**
 * The bytes of a port or MMIO access as the trace's lines show them.
 *
 * @module
 */

import { hexValue } from "../hex.ts";

const PRINTABLE = /^[\x20-\x7e\n\r\t]+$/;

/**
 * Port data: a number, a character, a quoted string, or a list of numbers.
 *
 * @param size bytes an item
 *
 * @example
 * ```ts
 * import { portData } from "./port_data.ts";
 * console.log(portData(new Uint8Array([0x48]), 1)); // 0x48 'H'
 * ```
 */
export function portData(data: Uint8Array, size: number): string {
  if (data.length <= size) {
    const code = data[0]!;
    const isCharacter = size === 1 && code >= 0x20 && code < 0x7f;
    return hexValue(data) + (isCharacter ? ` '${String.fromCharCode(code)}'` : "");
  }
  if (size === 1) {
    const text = String.fromCharCode(...data);
    if (PRINTABLE.test(text)) return JSON.stringify(text);
  }
  const items: string[] = [];
  for (let i = 0; i < data.length; i += size) items.push(hexValue(data.subarray(i, i + size)));
  return `[${items.join(" ")}]`;
}
