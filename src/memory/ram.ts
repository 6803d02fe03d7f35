/**
 * Where RAM is in guest physical memory. RAM above 3 GiB goes around the hole
 * that PC machines leave below 4 GiB for devices, so that a guest of 5 GiB has
 * RAM at [0, 3 GiB) and [4 GiB, 6 GiB).
 *
 * @module
 */

/** The host's and the guest's smallest page, in bytes. */
export const PAGE_BYTES = 4096;
/** Where RAM below the device hole ends at most. */
export const LOW_RAM_END = 0xc000_0000;
/** Where RAM goes on above the device hole. */
export const HIGH_RAM_START = 0x1_0000_0000;

/** A part of guest physical memory that is RAM. */
export interface RamRange {
  /** Its first guest physical address. */
  readonly gpa: number;
  readonly sizeBytes: number;
}

/**
 * Where RAM of some size goes.
 *
 * @param sizeBytes the RAM's size in bytes
 *
 * @example
 * ```ts
 * import { ramLayout } from "./ram.ts";
 * console.log(ramLayout(5 * 2 ** 30).map((range) => range.gpa)); // [0, 4294967296]
 * ```
 */
export function ramLayout(sizeBytes: number): RamRange[] {
  if (sizeBytes <= LOW_RAM_END) return [{ gpa: 0, sizeBytes }];
  return [
    { gpa: 0, sizeBytes: LOW_RAM_END },
    { gpa: HIGH_RAM_START, sizeBytes: sizeBytes - LOW_RAM_END },
  ];
}

/** Whether `[gpa, gpa + sizeBytes)` lies within one range of RAM. */
export function isRam(ram: readonly RamRange[], gpa: bigint, sizeBytes: number): boolean {
  return ram.some((range) =>
    gpa >= BigInt(range.gpa) &&
    gpa + BigInt(sizeBytes) <= BigInt(range.gpa) + BigInt(range.sizeBytes)
  );
}
