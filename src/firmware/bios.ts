/**
 * The few BIOS services that the real-mode setup code of a Linux kernel calls:
 * code, interrupt vectors and data area. bios.S is the source of the code (IBM
 * PC/AT technical reference; ACPI 6.5 section 15.1 for E820).
 *
 * @module
 */

import { BIOS_DATA_GPA, biosData } from "./bios_data.ts";
import type { FirmwareTable } from "./firmware_table.ts";
import { encodeE820, type MemoryMapEntry, MemoryType } from "./memory_map.ts";

/** bios.S, assembled. */
const CODE =
  "eb0e6690eb1c6690eb2b6690eb2c66905589e5804e06415dcf5589e5806606fe5dcf80fc0e7503e6e9cf80fc" +
  "0f75e1b80350b700cf2ea1a600cf3d20e8741f3d01e8740b80fc8875c72ea1a800ebca2ea1aa0089c12e8b1e" +
  "ac0089daebbb6681fa50414d5375a96683f91472a32e3b1eae00739c56571e0e1f6bf31481c6b000b91400fc" +
  "f3a41f5f5e66b91400000066b850414d53432e3b1eae000f827aff6631dbe974ff90";

/** Below the 64 KiB at 0xf0000, where the firmware's tables are. */
const BIOS_GPA = 0xe_0000;
const BIOS_SEGMENT = 0xe000;
const VECTORS = 256;
/** Interrupts with a service, and its offset in bios.S; all others are unknown. */
const SERVICES: Readonly<Record<number, number>> = { 0x10: 4, 0x12: 8, 0x15: 12 };
/** The low memory that a BIOS owns: vectors and data area. */
const LOW_BYTES = 0x500;

const KIB = 1024;
const HIGH_MEMORY = 0x10_0000;
const SIXTEEN_MIB = 0x100_0000;

/**
 * The vectors with the BIOS data area, and the services.
 *
 * @param map the memory map that E820 returns
 */
export function biosTables(map: readonly MemoryMapEntry[]): FirmwareTable[] {
  const low = new Uint8Array(LOW_BYTES);
  const view = new DataView(low.buffer);
  for (let vector = 0; vector < VECTORS; vector++) {
    view.setUint16(vector * 4, SERVICES[vector] ?? 0, true);
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
  ];
}

/** The code of the services, assembled from bios.S. */
export function biosCode(): Uint8Array {
  return Uint8Array.from(CODE.match(/../g)!, (digits) => parseInt(digits, 16));
}

/** How many bytes of RAM there are from an address up. */
function ramFrom(map: readonly MemoryMapEntry[], gpa: number): number {
  return map.find((entry) => entry.type === MemoryType.ram && entry.gpa === gpa)?.sizeBytes ?? 0;
}
