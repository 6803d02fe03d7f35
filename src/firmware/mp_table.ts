/**
 * The MP table, for kernels without ACPI: the floating pointer structure and the
 * configuration table after it (Intel MultiProcessor Specification 1.4,
 * chapter 4).
 *
 * @module
 */

import { encode, layout } from "../../ffi/layout.ts";
import { concat } from "../bytes.ts";
import { ascii, checksum, type FirmwareTable } from "./firmware_table.ts";
import {
  IO_APIC,
  ioApicPin,
  ISA_IRQS,
  LOCAL_APIC_GPA,
  PIC_CASCADE,
  SCI_IRQ,
} from "./pc_interrupts.ts";

const POINTER = layout("mp_floating_pointer", 16, {
  signature: [0, "u8", 4],
  table: [4, "u32"],
  length: [8, "u8"], // in units of 16 bytes
  revision: [9, "u8"],
  checksum: [10, "u8"],
});
const CONFIGURATION = layout("mp_configuration", 44, {
  signature: [0, "u8", 4],
  length: [4, "u16"],
  revision: [6, "u8"],
  checksum: [7, "u8"],
  oem_id: [8, "u8", 8],
  product_id: [16, "u8", 12],
  entries: [34, "u16"],
  local_apic: [36, "u32"],
});
const PROCESSOR = layout("mp_processor", 20, {
  type: [0, "u8"],
  apic_id: [1, "u8"],
  apic_version: [2, "u8"],
  flags: [3, "u8"],
  signature: [4, "u32"],
  features: [8, "u32"],
});
const BUS = layout("mp_bus", 8, { type: [0, "u8"], id: [1, "u8"], name: [2, "u8", 6] });
const IO_APIC_ENTRY = layout("mp_io_apic", 8, {
  type: [0, "u8"],
  id: [1, "u8"],
  version: [2, "u8"],
  flags: [3, "u8"],
  address: [4, "u32"],
});
/** An interrupt of the I/O APIC, or of the local APICs. */
const INTERRUPT = layout("mp_interrupt", 8, {
  type: [0, "u8"],
  kind: [1, "u8"],
  flags: [2, "u16"],
  source_bus: [4, "u8"],
  source_irq: [5, "u8"],
  apic: [6, "u8"],
  input: [7, "u8"],
});

/** Entry types. */
const TYPE = { processor: 0, bus: 1, ioApic: 2, ioInterrupt: 3, localInterrupt: 4 } as const;
/** Interrupt kinds. */
const KIND = { vectored: 0, nmi: 1, external: 3 } as const;
const REVISION = 4; // 1.4
const ISA_BUS = 0;
const ENABLED = 1;
const BOOT_PROCESSOR = 2;
const LOCAL_APIC_VERSION = 0x14;
/** P6 family, with an FPU and a local APIC: all that the table needs; CPUID has the rest. */
const CPU = { signature: 0x600, features: 0x201 } as const;
/** Active high, level-triggered. */
const ACTIVE_HIGH_LEVEL = 0x0d;
const ALL_APICS = 0xff;
/** APIC ids have 8 bits, and 0xff means all. */
const MAX_CPUS = 255;

function entries(cpus: number): Uint8Array<ArrayBuffer>[] {
  const processors = Array.from({ length: Math.min(cpus, MAX_CPUS) }, (_, id) =>
    encode(PROCESSOR, {
      type: TYPE.processor,
      apic_id: id,
      apic_version: LOCAL_APIC_VERSION,
      flags: ENABLED | (id === 0 ? BOOT_PROCESSOR : 0),
      ...CPU,
    }));
  const interrupts = Array.from({ length: ISA_IRQS }, (_, irq) => irq)
    .filter((irq) => irq !== PIC_CASCADE)
    .map((irq) =>
      encode(INTERRUPT, {
        type: TYPE.ioInterrupt,
        kind: KIND.vectored,
        flags: irq === SCI_IRQ ? ACTIVE_HIGH_LEVEL : 0,
        source_bus: ISA_BUS,
        source_irq: irq,
        apic: IO_APIC.id,
        input: ioApicPin(irq),
      })
    );
  const local = (kind: number, input: number): Uint8Array<ArrayBuffer> =>
    encode(INTERRUPT, { type: TYPE.localInterrupt, kind, apic: ALL_APICS, input });
  return [
    ...processors,
    encode(BUS, { type: TYPE.bus, id: ISA_BUS, name: ascii("ISA   ") }),
    encode(IO_APIC_ENTRY, {
      type: TYPE.ioApic,
      id: IO_APIC.id,
      version: IO_APIC.version,
      flags: ENABLED,
      address: IO_APIC.gpa,
    }),
    ...interrupts,
    local(KIND.external, 0),
    local(KIND.nmi, 1),
  ];
}

/**
 * The two structures, one after the other: kernels search for the pointer between
 * 0xf0000 and 0xfffff.
 *
 * @param gpa a multiple of 16, below 4 GiB
 * @param cpus how many vCPUs; the table has the first 255
 *
 * @example
 * ```ts
 * import { mpTable } from "./mp_table.ts";
 * console.log(mpTable(0xf8000, 1).map((table) => table.name)); // ["_MP_", "PCMP"]
 * ```
 */
export function mpTable(gpa: number, cpus: number): FirmwareTable[] {
  const all = entries(cpus);
  const body = concat(all);
  const sizeBytes = CONFIGURATION.size + body.length;
  const configuration = encode(CONFIGURATION, {
    signature: ascii("PCMP"),
    length: sizeBytes,
    revision: REVISION,
    oem_id: ascii("VMEXIT  "),
    product_id: ascii("PC          "),
    entries: all.length,
    local_apic: LOCAL_APIC_GPA,
  }, new Uint8Array(sizeBytes));
  configuration.set(body, CONFIGURATION.size);
  configuration[CONFIGURATION.fields.checksum[0]] = checksum(configuration);

  const table = gpa + POINTER.size;
  const pointer = encode(POINTER, {
    signature: ascii("_MP_"),
    table,
    length: POINTER.size / 16,
    revision: REVISION,
  });
  pointer[POINTER.fields.checksum[0]] = checksum(pointer);
  return [
    { name: "_MP_", gpa, bytes: pointer },
    { name: "PCMP", gpa: table, bytes: configuration },
  ];
}
