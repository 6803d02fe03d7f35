/**
 * The pieces that firmware puts into guest memory: bytes with a name and a place.
 * ACPI, MP table and BIOS are made of them; the machine and the loaders put them
 * into memory.
 *
 * @module
 */

/** A table, or another structure that firmware leaves in memory. */
export interface FirmwareTable {
  /** Its signature without spaces, or what it is. */
  readonly name: string;
  readonly gpa: number;
  readonly bytes: Uint8Array;
}

/**
 * The checksum byte of a table: with it, all bytes sum to 0.
 *
 * @param bytes the table, its checksum byte still 0
 *
 * @example
 * ```ts
 * import { checksum } from "./firmware_table.ts";
 * console.log(checksum(new Uint8Array([0xff, 0x00]))); // 1
 * ```
 */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}

/** Text in a table: signatures and names, without a terminating zero. */
export function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
