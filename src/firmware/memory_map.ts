/**
 * The memory map that a PC's firmware reports (E820, ACPI 6.5 chapter 15), for
 * loaders to hand to kernels and for fw_cfg.
 *
 * @module
 */

import type { RamRange } from "../memory/ram.ts";

/** Address range types (ACPI 6.5 table 15.2). */
export const MemoryType = { ram: 1, reserved: 2, acpi: 3, nvs: 4 } as const;

/** A range of guest physical memory and its type. */
export interface MemoryMapEntry extends RamRange {
  /** One of {@linkcode MemoryType}. */
  readonly type: number;
}

/** Where conventional memory ends and the extended BIOS data area begins. */
export const CONVENTIONAL_END = 0x9_fc00;
/** Where the video window begins; the extended BIOS data area ends here. */
const VIDEO_START = 0xa_0000;
/** Where the BIOS's own 64 KiB begin. */
const BIOS_START = 0xf_0000;
/** The end of the low megabyte. */
const HIGH_MEMORY = 0x10_0000;

/** The most entries that a map has, plus two for each reserved range. */
export const MAX_MAP_ENTRIES = 8;

/**
 * RAM as a guest may use it: the low megabyte has the PC's reserved parts, and the
 * map says nothing about 640 KiB up to the BIOS.
 *
 * @param tablesStart where tables made for the guest begin; they reach to the
 *   end of RAM below 4 GiB and are reserved. Default: that end, for no tables
 * @param reserved ranges that override what lies there
 *
 * @example
 * ```ts
 * import { pcMemoryMap } from "./memory_map.ts";
 * const map = pcMemoryMap([{ gpa: 0, sizeBytes: 4 << 20 }]);
 * console.log(map.map((entry) => entry.type)); // [1, 2, 2, 1]
 * ```
 */
export function pcMemoryMap(
  ram: readonly RamRange[],
  tablesStart: number = ram[0]!.sizeBytes,
  reserved: readonly MemoryMapEntry[] = [],
): MemoryMapEntry[] {
  const [low, ...others] = ram;
  const end = low!.sizeBytes;
  const { ram: free, reserved: taken } = MemoryType;
  const pieces: [start: number, end: number, type: number][] = [
    [0, Math.min(CONVENTIONAL_END, tablesStart), free],
    [tablesStart, CONVENTIONAL_END, taken],
    [CONVENTIONAL_END, VIDEO_START, taken],
    [BIOS_START, HIGH_MEMORY, taken],
    [HIGH_MEMORY, tablesStart, free],
    [Math.max(HIGH_MEMORY, tablesStart), end, taken],
  ];
  let map: MemoryMapEntry[] = [
    ...pieces
      .map(([from, to, type]) => ({ gpa: from, sizeBytes: Math.min(to, end) - from, type }))
      .filter(({ sizeBytes }) => sizeBytes > 0),
    ...others.map((range) => ({ ...range, type: free })),
  ];
  for (const range of reserved) {
    map = [...map.flatMap((entry) => without(entry, range)), range];
  }
  return map.sort((a, b) => a.gpa - b.gpa);
}

/** The parts of an entry around a range that is cut out of it. */
function without(entry: MemoryMapEntry, { gpa, sizeBytes }: RamRange): MemoryMapEntry[] {
  const entryEnd = entry.gpa + entry.sizeBytes;
  const pieces = [
    { ...entry, sizeBytes: Math.min(gpa, entryEnd) - entry.gpa },
    {
      ...entry,
      gpa: Math.max(entry.gpa, gpa + sizeBytes),
      sizeBytes: entryEnd - Math.max(entry.gpa, gpa + sizeBytes),
    },
  ];
  return pieces.filter((piece) => piece.sizeBytes > 0);
}

/** The bytes of an entry as the firmware's E820 call returns it: base, length, type. */
export const E820_ENTRY_BYTES = 20;

/**
 * Entries as the firmware's E820 call returns them, in a table with any stride.
 *
 * @param strideBytes from one entry to the next, at least {@linkcode E820_ENTRY_BYTES}
 * @param offset the base address's offset in each entry
 */
export function encodeE820(
  map: readonly MemoryMapEntry[],
  strideBytes = E820_ENTRY_BYTES,
  offset = 0,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(map.length * strideBytes);
  const view = new DataView(bytes.buffer);
  map.forEach(({ gpa, sizeBytes, type }, i) => {
    const at = i * strideBytes + offset;
    view.setBigUint64(at, BigInt(gpa), true);
    view.setBigUint64(at + 8, BigInt(sizeBytes), true);
    view.setUint32(at + 16, type, true);
  });
  return bytes;
}
