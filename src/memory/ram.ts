/**
 * Guest physical addresses, and which of them are RAM. RAM beyond 3 GiB continues
 * above 4 GiB, behind the device hole of a PC: 5 GiB are [0, 3 GiB) and [4 GiB, 6 GiB).
 *
 * @module
 */

/**
 * A guest physical address (GPA).
 *
 * The VMM holds GPAs as numbers: x86 has at most 52 physical address bits, and numbers
 * are exact to 2^53, so that the path of an MMIO exit has no BigInt on it. What the guest
 * can set to all 64 bits (registers, page tables, an image's headers) and what the library
 * and the trace show are bigints. Guest memory takes both and turns them into a number in
 * one place, {@linkcode gpaNumber}; nothing converts them back and forth on the way.
 */
export type Gpa = number | bigint;

/**
 * A GPA as a number. Above 2^53 it loses its low bits, which is harmless: no RAM is there.
 *
 * @example
 * ```ts
 * import { gpaNumber } from "./ram.ts";
 * console.log(gpaNumber(0x1000n), gpaNumber(0x1000)); // 4096 4096
 * ```
 */
export function gpaNumber(gpa: Gpa): number {
  return typeof gpa === "number" ? gpa : Number(gpa);
}

/** Where RAM below the device hole ends at most. */
export const LOW_RAM_END = 0xc000_0000;
/** Where RAM continues above the device hole. */
export const HIGH_RAM_START = 0x1_0000_0000;

/**
 * The most RAM that a guest can have: a memory slot has less than 2^31 pages
 * (KVM_MEM_MAX_NR_PAGES in linux/kvm_host.h).
 */
export const MAX_RAM_BYTES = 2 ** 40;

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
export function isRam(ram: readonly RamRange[], gpa: Gpa, sizeBytes: number): boolean {
  const start = gpaNumber(gpa);
  return ram.some((range) =>
    start >= range.gpa && start + sizeBytes <= range.gpa + range.sizeBytes
  );
}
