/**
 * The BIOS of real-mode guests: interrupt vectors, data area, handlers and reset
 * vector. bios.S is the source of the code (IBM PC/AT technical reference; ACPI 6.5
 * section 15.1 for E820). The machine puts it into memory before the image.
 *
 * @module
 */

import { BIOS_DATA_GPA, biosData } from "./bios_data.ts";
import { ascii, type FirmwareTable } from "./firmware_table.ts";
import { encodeE820, type MemoryMapEntry, MemoryType } from "./memory_map.ts";

/** bios.S, assembled. */
const CODE =
  "eb3e6690eb4b6690eb486690eb4c6690eb726690eb736690e9870090e9c30090e9ca0090e9cb0090e9fd0090" +
  "e9c80090e9ed0090e9cb0090eb566690eb5b66905589e5804e06415dcf5589e5806606fe5dcf2e660f011eba" +
  "01cf501eb840008ed866ff066c0066813e6c00b0001800720e66c7066c0000000000c606700001cd1c1feb06" +
  "50e460eb0150b020e62058cf50b00ce670e471eb0150b020e6a0e62058cf80fc0e7503e6e9cf80fc13741680" +
  "fc03750631d2b90706cf80fc0f7581b80350b700cf50515689ee88c4e310268a04e6e946f6c402e1f5e30346" +
  "ebf05e5958cf1eb840008ed8a110001fcf2ea1c001cfb401e949fff6c4ef0f8542fffbf4ebfd84e40f8538ff" +
  "1eb840008ed88b166c008b0e6e0031c0860670001fe929ffb0fee664faf4ebfc3d20e874403d01e8742b80fc" +
  "24740e80fc880f8502ff2ea1c201e904ff3c030f87f5feb4007203bb03003c020f85f1feb001e9ecfe2ea1c4" +
  "0189c12e8b1ec60189dae9dcfe6681fa50414d530f85c8fe6683f9140f82c0fe2e3b1ec8010f83b7fe56571e" +
  "0e1f6bf31481c6ca01b91400fcf3a41f5f5e66b91400000066b850414d53432e3b1ec8010f8295fe6631dbe9" +
  "8ffe0000000000d0";

/** In the BIOS area, after the other tables and clear of the reset vector. */
export const BIOS_GPA = 0xf_e000;
const BIOS_SEGMENT = BIOS_GPA >> 4;
const VECTORS = 256;
/** The handlers in the order of bios.S, each with its vectors; `unknown` has all others. */
const HANDLERS: readonly (readonly number[])[] = [
  [], // unknown
  [0x01, 0x02, 0x03, 0x04, 0x05, 0x1c], // ignore
  [0x00, 0x06, 0x07], // crash
  [0x08], // tick
  [0x09], // key
  [0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f], // first_pic
  [0x10], // video
  [0x11], // equipment
  [0x12], // memory_size
  [0x13], // disk
  [0x15], // system
  [0x16], // keyboard
  [0x18, 0x19], // reset
  [0x1a], // time
  [0x70], // clock
  [0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77], // second_pic
];
const CRASH = HANDLERS.findIndex((vectors) => vectors.includes(0x06));
const FIRST_PIC = { base: 0x08, last: 0x0f } as const;
const RESET = HANDLERS.findIndex((vectors) => vectors.includes(0x19));
/** The size of each entry of bios.S, in bytes. */
const HANDLER_BYTES = 4;
/** The low memory that a BIOS owns: vectors and data area. */
const LOW_BYTES = 0x500;
/** Where a processor starts, and firmware with it. */
const RESET_VECTOR = { gpa: 0xf_fff0, bytes: 16, date: "01/01/00", dateAt: 5 } as const;
/** The last but one byte of the first megabyte says that this is a PC/AT. */
const MODEL = { at: 14, pcAt: 0xfc } as const;
const FAR_JUMP = 0xea;

const KIB = 1024;
const HIGH_MEMORY = 0x10_0000;
const SIXTEEN_MIB = 0x100_0000;

/**
 * The vectors with the BIOS data area, the handlers, and the reset vector; none where
 * the map has no RAM up to 1 MiB.
 *
 * @param map the memory map that E820 returns
 * @param hasPics whether vectors 0x08 to 0x0f are the first PIC's; without one they are exceptions
 *
 * @example
 * ```ts
 * import { biosTables } from "./bios.ts";
 * import { pcMemoryMap } from "./memory_map.ts";
 * const map = pcMemoryMap([{ gpa: 0, sizeBytes: 4 << 20 }]);
 * console.log(biosTables(map).map((table) => table.gpa.toString(16))); // ["0", "fe000", "ffff0"]
 * ```
 */
export function biosTables(map: readonly MemoryMapEntry[], hasPics = true): FirmwareTable[] {
  const end = Math.max(...map.map(({ gpa, sizeBytes }) => gpa + sizeBytes));
  if (end < HIGH_MEMORY) return [];
  const low = new Uint8Array(LOW_BYTES);
  const view = new DataView(low.buffer);
  for (let vector = 0; vector < VECTORS; vector++) {
    const isException = !hasPics && vector >= FIRST_PIC.base && vector <= FIRST_PIC.last;
    const handler = isException
      ? CRASH
      : Math.max(0, HANDLERS.findIndex((vectors) => vectors.includes(vector)));
    view.setUint16(vector * 4, handler * HANDLER_BYTES, true);
    view.setUint16(vector * 4 + 2, BIOS_SEGMENT, true);
  }
  const conventional = ramFrom(map, 0);
  low.set(biosData(conventional / KIB), BIOS_DATA_GPA);

  const code = biosCode();
  const high = ramFrom(map, HIGH_MEMORY);
  const numbers = new Uint16Array([
    conventional / KIB,
    Math.min(high / KIB, 0xffff),
    Math.min(high, SIXTEEN_MIB - HIGH_MEMORY) / KIB,
    Math.min(Math.max(0, high + HIGH_MEMORY - SIXTEEN_MIB) / (64 * KIB), 0xffff),
    map.length,
  ]);
  const bytes = [...code, ...new Uint8Array(numbers.buffer), ...encodeE820(map)];
  return [
    { name: "interrupt vectors and BIOS data", gpa: 0, bytes: low },
    { name: "BIOS", gpa: BIOS_GPA, bytes: new Uint8Array(bytes) },
    { name: "reset vector", gpa: RESET_VECTOR.gpa, bytes: resetVector() },
  ];
}

/** A jump to the BIOS's reset, the date of the BIOS, and the model. */
function resetVector(): Uint8Array {
  const bytes = new Uint8Array(RESET_VECTOR.bytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, FAR_JUMP);
  view.setUint16(1, RESET * HANDLER_BYTES, true);
  view.setUint16(3, BIOS_SEGMENT, true);
  bytes.set(ascii(RESET_VECTOR.date), RESET_VECTOR.dateAt);
  bytes[MODEL.at] = MODEL.pcAt;
  return bytes;
}

/** The code of the services, assembled from bios.S. */
export function biosCode(): Uint8Array {
  return Uint8Array.from(CODE.match(/../g)!, (digits) => parseInt(digits, 16));
}

/** How many bytes of RAM there are from an address up. */
function ramFrom(map: readonly MemoryMapEntry[], gpa: number): number {
  return map.find((entry) => entry.type === MemoryType.ram && entry.gpa === gpa)?.sizeBytes ?? 0;
}
