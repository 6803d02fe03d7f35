/**
 * The memory map that a PC's firmware would report (E820, ACPI 6.5 chapter 15).
 *
 * @module
 */

import type { RamRange } from "../memory/guest_memory.ts";

/** Address range types (ACPI 6.5 table 15.2). */
export const MemoryType = { ram: 1, reserved: 2 } as const;

/** A range of guest physical memory and what it is. */
export interface MemoryMapEntry extends RamRange {
  /** One of {@linkcode MemoryType}. */
  readonly type: number;
}

/** Where conventional memory ends and the extended BIOS data area begins. */
const CONVENTIONAL_END = 0x9_fc00;
/** Where the video window begins, up to which the area is reserved. */
const VIDEO_START = 0xa_0000;
/** Where the BIOS's own 64 KiB begin. */
const BIOS_START = 0xf_0000;
/** The end of the low megabyte. */
const HIGH_MEMORY = 0x10_0000;

/**
 * RAM as a guest may use it: the low megabyte has the PC's reserved parts, and
 * what lies between 640 KiB and the BIOS is not mentioned.
 */
export function pcMemoryMap(ram: readonly RamRange[]): MemoryMapEntry[] {
  const [low, ...others] = ram;
  const end = low!.sizeBytes;
  const pieces: MemoryMapEntry[] = [
    { gpa: 0, sizeBytes: CONVENTIONAL_END, type: MemoryType.ram },
    {
      gpa: CONVENTIONAL_END,
      sizeBytes: VIDEO_START - CONVENTIONAL_END,
      type: MemoryType.reserved,
    },
    { gpa: BIOS_START, sizeBytes: HIGH_MEMORY - BIOS_START, type: MemoryType.reserved },
    { gpa: HIGH_MEMORY, sizeBytes: end - HIGH_MEMORY, type: MemoryType.ram },
    ...others.map((range) => ({ ...range, type: MemoryType.ram })),
  ];
  return pieces
    .map((p) => p.gpa < end ? { ...p, sizeBytes: Math.min(p.sizeBytes, end - p.gpa) } : p)
    .filter((p) => p.sizeBytes > 0 && (p.gpa < end || p.gpa >= 2 ** 32));
}
