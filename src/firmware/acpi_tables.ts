/**
 * The PC's ACPI tables: RSDP, RSDT, XSDT, FADT, FACS, MADT and DSDT (ACPI 6.5,
 * section 5.2). They describe the devices of src/devices to a kernel.
 *
 * @module
 */

import { encode, type Layout, layout, type PartialStruct } from "../../ffi/layout.ts";
import { concat } from "../bytes.ts";
import { ACPI_PM_PORTS, S5_SLEEP_TYPE } from "../devices/acpi_pm.ts";
import { CMOS_CENTURY, CMOS_PORTS } from "../devices/cmos_rtc.ts";
import { FW_CFG_PORTS } from "../devices/fw_cfg.ts";
import { PVPANIC_PORT } from "../devices/pvpanic.ts";
import { RESET_CONTROL_PORT, RESET_VALUE } from "../devices/reset_control.ts";
import { COM_PORTS } from "../devices/uart16550.ts";
import {
  byteConst,
  device,
  eisaId,
  ioPorts,
  irqNoFlags,
  name,
  packageOf,
  resources,
  scope,
  stringConst,
} from "./aml.ts";
import { ascii, checksum, type FirmwareTable } from "./firmware_table.ts";
import { IO_APIC, ioApicPin, LOCAL_APIC_GPA, RTC_IRQ, SCI_IRQ } from "./pc_interrupts.ts";

const HEADER_BYTES = 36;
const CHECKSUM_AT = 9;
const HEADER = layout("acpi_table_header", HEADER_BYTES, {
  signature: [0, "u8", 4],
  length: [4, "u32"],
  revision: [8, "u8"],
  oem_id: [10, "u8", 6],
  oem_table_id: [16, "u8", 8],
  oem_revision: [24, "u32"],
  creator_id: [28, "u8", 4],
  creator_revision: [32, "u32"],
});
const RSDP = layout("acpi_rsdp", 36, {
  signature: [0, "u8", 8],
  checksum: [8, "u8"],
  oem_id: [9, "u8", 6],
  revision: [15, "u8"],
  rsdt: [16, "u32"],
  length: [20, "u32"],
  xsdt: [24, "u64"],
  extended_checksum: [32, "u8"],
});
/** The part of the RSDP that its first checksum covers. */
const RSDP_V1_BYTES = 20;
const GAS = layout("acpi_generic_address", 12, {
  space: [0, "u8"],
  bit_width: [1, "u8"],
  bit_offset: [2, "u8"],
  access_size: [3, "u8"],
  address: [4, "u64"],
});
const FADT = layout("acpi_fadt", 276, {
  firmware_ctrl: [36, "u32"],
  dsdt: [40, "u32"],
  sci_int: [46, "u16"],
  pm1a_evt_blk: [56, "u32"],
  pm1a_cnt_blk: [64, "u32"],
  pm_tmr_blk: [76, "u32"],
  pm1_evt_len: [88, "u8"],
  pm1_cnt_len: [89, "u8"],
  pm_tmr_len: [91, "u8"],
  p_lvl2_lat: [96, "u16"],
  p_lvl3_lat: [98, "u16"],
  century: [108, "u8"],
  iapc_boot_arch: [109, "u16"],
  flags: [112, "u32"],
  reset_reg: [116, GAS],
  reset_value: [128, "u8"],
  minor_version: [131, "u8"],
  x_dsdt: [140, "u64"],
  x_pm1a_evt_blk: [148, GAS],
  x_pm1a_cnt_blk: [172, GAS],
  x_pm_tmr_blk: [208, GAS],
});
const FACS = layout("acpi_facs", 64, {
  signature: [0, "u8", 4],
  length: [4, "u32"],
  version: [32, "u8"],
});
const FADT_REVISION = { major: 6, minor: 5 };
/** FADT boot flags: legacy devices, an 8042, no VGA. */
const BOOT_ARCH = 0x0007;
/** FADT flags: WBINVD, C1, no buttons, no RTC wake-up, 32-bit timer, reset register. */
const FADT_FLAGS = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10;
/** FADT: with such latencies there is no C2 and no C3. */
const NO_C_STATE = 0xffff;
const SYSTEM_IO = 1;

/** MADT flags: there is also a pair of 8259 PICs. */
const PCAT_COMPAT = 1;
const ENABLED = 1;
/** MPS INTI flags: active high, level-triggered. */
const ACTIVE_HIGH_LEVEL = 0x0d;
/** From this APIC id on, a processor needs an x2APIC entry. */
const FIRST_X2APIC_ID = 255;

/** A table: its header, filled in from the rest, and its body. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  bytes.set(body, HEADER_BYTES);
  return finish(signature, revision, bytes);
}

function finish(
  signature: string,
  revision: number,
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  encode(HEADER, {
    signature: ascii(signature),
    length: bytes.length,
    revision,
    oem_id: ascii("VMEXIT"),
    oem_table_id: ascii("VMEXITPC"),
    oem_revision: 1,
    creator_id: ascii("VMEX"),
    creator_revision: 1,
  }, bytes);
  bytes[CHECKSUM_AT] = checksum(bytes);
  return bytes;
}

/** A register in port space, as a generic address structure. */
function port({ start, size }: { start: number; size: number }): PartialStruct<typeof GAS> {
  const access_size = { 1: 1, 2: 2, 4: 3 }[size] ?? 0;
  return { space: SYSTEM_IO, bit_width: size * 8, access_size, address: BigInt(start) };
}

function dsdt(): Uint8Array {
  const { registers: fwCfg, dma } = FW_CFG_PORTS;
  const present = name("_STA", byteConst(0x0f));
  const terms = [
    name("_S5_", packageOf(...[S5_SLEEP_TYPE, 0, 0, 0].map(byteConst))),
    scope(
      "_SB_",
      ...COM_PORTS.map(({ start, size, irq }, i) =>
        device(
          `COM${i + 1}`,
          name("_HID", eisaId("PNP0501")),
          name("_UID", byteConst(i + 1)),
          name("_CRS", resources(ioPorts(start, size), irqNoFlags(irq))),
        )
      ),
      device(
        "RTC_",
        name("_HID", eisaId("PNP0B00")),
        name("_CRS", resources(ioPorts(CMOS_PORTS.start, CMOS_PORTS.size), irqNoFlags(RTC_IRQ))),
      ),
      device(
        "FWCF",
        name("_HID", stringConst("QEMU0002")),
        present,
        name("_CRS", resources(ioPorts(fwCfg.start, dma.start + dma.size - fwCfg.start))),
      ),
      device(
        "PEVT",
        name("_HID", stringConst("QEMU0001")),
        present,
        name("_CRS", resources(ioPorts(PVPANIC_PORT, 1))),
      ),
    ),
  ];
  return table("DSDT", 2, Uint8Array.from(terms.flat()));
}

function fadt(facsGpa: number, dsdtGpa: number): Uint8Array {
  const { event, control, timer } = ACPI_PM_PORTS;
  const bytes = encode(FADT, {
    firmware_ctrl: facsGpa,
    dsdt: dsdtGpa,
    x_dsdt: BigInt(dsdtGpa),
    sci_int: SCI_IRQ,
    pm1a_evt_blk: event.start,
    pm1_evt_len: event.size,
    x_pm1a_evt_blk: { ...port(event), access_size: 2 }, // two registers of 16 bits
    pm1a_cnt_blk: control.start,
    pm1_cnt_len: control.size,
    x_pm1a_cnt_blk: port(control),
    pm_tmr_blk: timer.start,
    pm_tmr_len: timer.size,
    x_pm_tmr_blk: port(timer),
    p_lvl2_lat: NO_C_STATE,
    p_lvl3_lat: NO_C_STATE,
    century: CMOS_CENTURY,
    iapc_boot_arch: BOOT_ARCH,
    flags: FADT_FLAGS,
    reset_reg: port({ start: RESET_CONTROL_PORT, size: 1 }),
    reset_value: RESET_VALUE,
    minor_version: FADT_REVISION.minor,
  });
  return finish("FACP", FADT_REVISION.major, bytes);
}

/** An entry of the MADT: type, length, then the fields (section 5.2.12). */
function entry<L extends Layout>(
  type: number,
  shape: L,
  value: PartialStruct<L>,
): Uint8Array {
  const bytes = encode(shape, value);
  bytes.set([type, bytes.length]);
  return bytes;
}

const MADT = layout("acpi_madt", 44, { local_apic: [36, "u32"], flags: [40, "u32"] });
const MADT_LOCAL_APIC = layout("madt_local_apic", 8, {
  uid: [2, "u8"],
  id: [3, "u8"],
  flags: [4, "u32"],
});
const MADT_IO_APIC = layout("madt_io_apic", 12, {
  id: [2, "u8"],
  address: [4, "u32"],
  gsi_base: [8, "u32"],
});
const MADT_OVERRIDE = layout("madt_interrupt_override", 10, {
  bus: [2, "u8"],
  source: [3, "u8"],
  gsi: [4, "u32"],
  flags: [8, "u16"],
});
const MADT_LOCAL_NMI = layout("madt_local_apic_nmi", 6, {
  uid: [2, "u8"],
  flags: [3, "u16"],
  lint: [5, "u8"],
});
const MADT_X2APIC = layout("madt_local_x2apic", 16, {
  id: [4, "u32"],
  flags: [8, "u32"],
  uid: [12, "u32"],
});
const MADT_X2APIC_NMI = layout("madt_local_x2apic_nmi", 12, {
  flags: [2, "u16"],
  uid: [4, "u32"],
  lint: [8, "u8"],
});
const ALL_PROCESSORS = 0xffff_ffff;

function processor(id: number): Uint8Array {
  return id < FIRST_X2APIC_ID
    ? entry(0, MADT_LOCAL_APIC, { uid: id, id, flags: ENABLED })
    : entry(9, MADT_X2APIC, { uid: id, id, flags: ENABLED });
}

function madt(cpus: number): Uint8Array {
  const parts = [
    encode(MADT, { local_apic: LOCAL_APIC_GPA, flags: PCAT_COMPAT }),
    ...Array.from({ length: cpus }, (_, id) => processor(id)),
    entry(1, MADT_IO_APIC, { id: IO_APIC.id, address: IO_APIC.gpa }),
    entry(2, MADT_OVERRIDE, { source: 0, gsi: ioApicPin(0) }),
    entry(2, MADT_OVERRIDE, { source: SCI_IRQ, gsi: SCI_IRQ, flags: ACTIVE_HIGH_LEVEL }),
    entry(4, MADT_LOCAL_NMI, { uid: ALL_PROCESSORS & 0xff, lint: 1 }),
    ...(cpus > FIRST_X2APIC_ID
      ? [entry(10, MADT_X2APIC_NMI, { uid: ALL_PROCESSORS, lint: 1 })]
      : []),
  ];
  return finish("APIC", 5, concat(parts));
}

function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const bytes = encode(RSDP, {
    signature: ascii("RSD PTR "),
    oem_id: ascii("VMEXIT"),
    revision: 2,
    rsdt,
    length: RSDP.size,
    xsdt: BigInt(xsdt),
  });
  bytes[RSDP.fields.checksum[0]] = checksum(bytes.subarray(0, RSDP_V1_BYTES));
  bytes[RSDP.fields.extended_checksum[0]] = checksum(bytes);
  return bytes;
}

/**
 * The tables, one after the other, the RSDP first: kernels that search for it look
 * between 0xe0000 and 0xfffff.
 *
 * @param gpa a multiple of 64, below 4 GiB
 * @param cpus how many vCPUs, with APIC ids from 0
 *
 * @example
 * ```ts
 * import { acpiTables } from "./acpi_tables.ts";
 * console.log(acpiTables(0xf0000, 1).map((table) => table.name));
 * // ["RSDP", "FACS", "DSDT", "FACP", "APIC", "RSDT", "XSDT"]
 * ```
 */
export function acpiTables(gpa: number, cpus: number): FirmwareTable[] {
  const tables: FirmwareTable[] = [];
  let next = gpa + 64;
  const add = (name: string, bytes: Uint8Array): number => {
    const at = next;
    tables.push({ name, gpa: at, bytes });
    next = (at + bytes.length + 15) & ~15;
    return at;
  };
  const facs = add(
    "FACS", // right after the RSDP: it must be 64-byte aligned
    encode(FACS, { signature: ascii("FACS"), length: FACS.size, version: 2 }),
  );
  const described = add("DSDT", dsdt());
  const listed = [add("FACP", fadt(facs, described)), add("APIC", madt(cpus))];
  const rsdt = add("RSDT", table("RSDT", 1, new Uint8Array(new Uint32Array(listed).buffer)));
  const pointers = new BigUint64Array(listed.map(BigInt));
  const xsdt = add("XSDT", table("XSDT", 1, new Uint8Array(pointers.buffer)));
  return [{ name: "RSDP", gpa, bytes: rsdp(rsdt, xsdt) }, ...tables];
}
