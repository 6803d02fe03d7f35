/**
 * The tables that a PC's firmware puts into memory for the kernel: ACPI and MP tables in
 * the BIOS area below 1 MiB, which the memory map reserves. The machine puts them
 * into memory before the image.
 *
 * @module
 */

import { isRam, type RamRange } from "../memory/ram.ts";
import { acpiTables } from "./acpi_tables.ts";
import type { FirmwareTable } from "./firmware_table.ts";
import { type MemoryMapEntry, MemoryType } from "./memory_map.ts";
import { mpTable } from "./mp_table.ts";

/** The RSDP, followed by the other ACPI tables. */
export const RSDP_GPA = 0xf_0000;
/** The MP floating pointer structure. */
export const MP_POINTER_GPA = 0xf_8000;
/** The BIOS area. */
const AREA = { gpa: 0xf_0000n, sizeBytes: 0x1_0000 } as const;

/**
 * All tables; none if there is no RAM for them.
 *
 * @param cpus how many vCPUs, at most 1024
 */
export function firmwareTables(ram: readonly RamRange[], cpus: number): FirmwareTable[] {
  if (!isRam(ram, AREA.gpa, AREA.sizeBytes)) return [];
  return [
    ...acpiTables(RSDP_GPA, cpus),
    ...mpTable(MP_POINTER_GPA, cpus),
  ];
}

/** The ACPI root pointer (RSDP), for boot protocols that pass it on. */
export interface Rsdp {
  readonly gpa: bigint;
  /** Its 20 or 36 bytes, for protocols that pass a copy. */
  readonly bytes: Uint8Array;
}

/** What a loader must know about the firmware's tables. */
export interface FirmwareOptions {
  /** Where the ACPI tables begin, if the machine has any. */
  readonly rsdp?: Rsdp;
  /** Ranges into which nothing is loaded, and their types in the memory map. */
  readonly reserved?: readonly MemoryMapEntry[];
  /** The tables in those ranges, which an image destroys where it is loaded over them. */
  readonly tables?: readonly FirmwareTable[];
}

/** The root pointer of {@linkcode firmwareTables}, and the area that they take. */
export function firmwareOptions(ram: readonly RamRange[], cpus: number): FirmwareOptions {
  const tables = firmwareTables(ram, cpus).filter(({ gpa }) => gpa >= AREA.gpa);
  const [rsdp] = tables;
  if (!rsdp) return {};
  return {
    rsdp: { gpa: BigInt(rsdp.gpa), bytes: rsdp.bytes },
    tables,
    reserved: [{
      gpa: Number(AREA.gpa),
      sizeBytes: AREA.sizeBytes,
      type: MemoryType.reserved,
    }],
  };
}
