/**
 * The BIOS data area at GPA 0x400, in which a PC's firmware leaves what it found.
 * Kernels look there for the serial ports and the end of conventional memory,
 * whatever protocol booted them (IBM PC/AT technical reference, section 5).
 *
 * @module
 */

import { COM_PORTS } from "../devices/uart16550.ts";

/** Its GPA. */
export const BIOS_DATA_GPA = 0x400;
const SIZE_BYTES = 0x100;

/** Offsets in the area. */
const AT = {
  serialPorts: 0x00,
  ebdaSegment: 0x0e,
  equipment: 0x10,
  conventionalKiB: 0x13,
} as const;
/** Equipment word: bits 9 to 11 count the serial ports. */
const SERIAL_COUNT_SHIFT = 9;
/** The extended BIOS data area: the last KiB below 640 KiB, reserved in the memory map. */
const EBDA_SEGMENT = 0x9fc0;

/**
 * The area's bytes.
 *
 * @param conventionalKiB RAM from GPA 0 up, in KiB
 *
 * @example
 * ```ts
 * import { biosData } from "./bios_data.ts";
 * console.log(new DataView(biosData(639).buffer).getUint16(0x13, true)); // 639
 * ```
 */
export function biosData(conventionalKiB: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SIZE_BYTES);
  const view = new DataView(bytes.buffer);
  COM_PORTS.forEach(({ start }, i) => view.setUint16(AT.serialPorts + 2 * i, start, true));
  view.setUint16(AT.ebdaSegment, EBDA_SEGMENT, true);
  view.setUint16(AT.equipment, COM_PORTS.length << SERIAL_COUNT_SHIFT, true);
  view.setUint16(AT.conventionalKiB, conventionalKiB, true);
  return bytes;
}
