/**
 * The memory map that a PC's firmware would report (E820, ACPI 6.5 chapter 15).
 *
 * @module
 */

import type { RamRange } from "../memory/ram.ts";

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

/** No map has more entries. */
export const MAX_MAP_ENTRIES = 8;

/**
 * RAM as a guest may use it: the low megabyte has the PC's reserved parts, and
 * what lies between 640 KiB and the BIOS is not mentioned.
 *
 * @param tablesStart from here to the end of RAM below 4 GiB there are tables
 *   made for the guest: reserved. Default: that RAM's end
 */
export function pcMemoryMap(
  ram: readonly RamRange[],
  tablesStart: number = ram[0]!.sizeBytes,
): MemoryMapEntry[] {
  const [low, ...others] = ram;
  const end = low!.sizeBytes;
  const { ram: free, reserved } = MemoryType;
  const pieces: [start: number, end: number, type: number][] = [
    [0, Math.min(CONVENTIONAL_END, tablesStart), free],
    [tablesStart, CONVENTIONAL_END, reserved],
    [CONVENTIONAL_END, VIDEO_START, reserved],
    [BIOS_START, HIGH_MEMORY, reserved],
    [HIGH_MEMORY, tablesStart, free],
    [Math.max(HIGH_MEMORY, tablesStart), end, reserved],
  ];
  return [
    ...pieces
      .map(([from, to, type]) => ({ gpa: from, sizeBytes: Math.min(to, end) - from, type }))
      .filter(({ sizeBytes }) => sizeBytes > 0),
    ...others.map((range) => ({ ...range, type: free })),
  ];
}
