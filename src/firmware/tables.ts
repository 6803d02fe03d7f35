/**
 * What a PC's firmware leaves in memory for the kernel: the ACPI tables and the
 * MP table, in the BIOS area below 1 MiB, which the memory map reserves; and the
 * BIOS data area, which only the kernel's own image overwrites.
 *
 * @module
 */

import { isRam, type RamRange } from "../memory/ram.ts";
import { acpiTables, type FirmwareTable } from "./acpi_tables.ts";
import { BIOS_DATA_GPA, biosData } from "./bios_data.ts";
import { CONVENTIONAL_END, MemoryType } from "../boot/memory_map.ts";
import { mpTable } from "./mp_table.ts";
import type { BootOptions } from "../boot/plan.ts";

/** Where the ACPI tables begin, with the RSDP. */
export const RSDP_GPA = 0xf_0000;
/** Where the MP table's pointer is. */
export const MP_POINTER_GPA = 0xf_8000;
/** The BIOS area. */
const AREA = { gpa: 0xf_0000n, sizeBytes: 0x1_0000 } as const;

/**
 * All tables; none where there is no RAM to hold them.
 *
 * @param cpus how many vCPUs, at most 1024
 */
export function firmwareTables(ram: readonly RamRange[], cpus: number): FirmwareTable[] {
  if (!isRam(ram, AREA.gpa, AREA.sizeBytes)) return [];
  return [
    ...acpiTables(RSDP_GPA, cpus),
    ...mpTable(MP_POINTER_GPA, cpus),
    { name: "BDA", gpa: BIOS_DATA_GPA, bytes: biosData(CONVENTIONAL_END / 1024) },
  ];
}

/** What a loader has to know of the tables: where they are, and that nothing else goes there. */
export function firmwareOptions(
  ram: readonly RamRange[],
  cpus: number,
): Pick<BootOptions, "rsdp" | "reserved"> {
  const rsdp = firmwareTables(ram, cpus)[0];
  if (!rsdp) return {};
  return {
    rsdp: { gpa: BigInt(rsdp.gpa), bytes: rsdp.bytes },
    reserved: [{
      gpa: Number(AREA.gpa),
      sizeBytes: AREA.sizeBytes,
      type: MemoryType.reserved,
    }],
  };
}
