/**
 * The machine's address map: every port and every GPA that a device answers
 * at, in one table. Devices are plugged in by it, and the documentation shows it.
 *
 * @module
 */

import { IO_APIC, LOCAL_APIC_GPA } from "../firmware/pc_interrupts.ts";
import { ACPI_PM_PORTS } from "../devices/acpi_pm.ts";
import type { MmioBus, PortBus } from "../devices/bus.ts";
import { CMOS_PORTS } from "../devices/cmos_rtc.ts";
import type { BusRange, Device } from "../devices/device.ts";
import { FW_CFG_PORTS } from "../devices/fw_cfg.ts";
import { PCI_PORTS } from "../devices/pci_host.ts";
import { TESTDEV_IOMEM_BYTES, TESTDEV_IRQS } from "../devices/pc_testdev.ts";
import { PVPANIC_PORT } from "../devices/pvpanic.ts";
import { COM_PORTS } from "../devices/uart16550.ts";
import { hex } from "../hex.ts";

/** One row: a range and who answers there. */
export interface AddressRow extends BusRange {
  readonly space: "port" | "gpa";
  /** Its device among those that a machine is made of; `kernel` where KVM answers itself. */
  readonly device: string;
  /** What it is. */
  readonly description: string;
  /** The specification that it follows. */
  readonly source: string;
}

const port = (
  start: number,
  size: number,
  device: string,
  description: string,
  source: string,
): AddressRow => ({ space: "port", start, size, device, description, source });
const gpa = (...row: Parameters<typeof port>): AddressRow => ({ ...port(...row), space: "gpa" });

const AT = "IBM PC/AT Technical Reference";
const QEMU_TESTDEV = "QEMU, hw/misc/pc-testdev.c";
const UART = "National Semiconductor PC16550D data sheet";
const ACPI = "ACPI 6.5";
const FW_CFG = "QEMU, fw_cfg specification";
const com = (n: 1 | 2 | 3 | 4): AddressRow => {
  const { start, size, irq } = COM_PORTS[n - 1]!;
  return port(start, size, `uart${n - 1}`, `COM${n}: 16550A UART, IRQ ${irq}`, UART);
};

/** All rows, in ascending order: ports first, then GPAs. */
export const ADDRESS_MAP: readonly AddressRow[] = [
  port(0x20, 2, "kernel", "first PIC", "Intel 8259A data sheet"),
  port(0x40, 4, "kernel", "PIT, IRQ 0", "Intel 8254 data sheet"),
  port(0x60, 1, "i8042-data", "keyboard controller: data, IRQ 1", AT),
  port(0x61, 1, "kernel", "speaker: gate and output of the PIT's channel 2", AT),
  port(0x64, 1, "i8042-command", "keyboard controller: command and status; reset", AT),
  port(
    CMOS_PORTS.start,
    CMOS_PORTS.size,
    "cmos",
    "clock and CMOS RAM, IRQ 8",
    "Motorola MC146818A",
  ),
  port(0x80, 1, "post", "POST code", AT),
  port(0x92, 1, "port92", "system control A: fast reset and A20", "IBM PS/2 Technical Reference"),
  port(0xa0, 2, "kernel", "second PIC", "Intel 8259A data sheet"),
  port(0xe0, 4, "testdev-data", "test device: four bytes of memory", QEMU_TESTDEV),
  port(0xe4, 4, "testdev-flush", "test device: forget the page at a GPA", QEMU_TESTDEV),
  port(0xe8, 1, "testdev-byte0", "test device: the same memory by bytes", QEMU_TESTDEV),
  port(0xe9, 1, "debugcon", "debug console", "QEMU, isa-debugcon"),
  port(0xea, 2, "testdev-byte2", "test device: the same memory by bytes", QEMU_TESTDEV),
  port(0xf4, 4, "debug-exit", "ends the run with code 2V + 1", "QEMU, isa-debug-exit"),
  com(4),
  com(2),
  com(3),
  com(1),
  port(0x402, 1, "debugcon2", "debug console of firmware", "QEMU, isa-debugcon"),
  port(0x4d0, 2, "kernel", "PIC: edge or level", "Intel 82371SB data sheet, ELCR"),
  port(PVPANIC_PORT, 1, "pvpanic", "a guest's panic", "QEMU, pvpanic specification"),
  port(
    FW_CFG_PORTS.registers.start,
    FW_CFG_PORTS.registers.size,
    "fw_cfg",
    "fw_cfg: selector and data",
    FW_CFG,
  ),
  port(FW_CFG_PORTS.dma.start, FW_CFG_PORTS.dma.size, "fw_cfg-dma", "fw_cfg: DMA", FW_CFG),
  port(
    ACPI_PM_PORTS.event.start,
    ACPI_PM_PORTS.event.size,
    "acpi-event",
    "PM1a status and enable, IRQ 9",
    `${ACPI}, 4.8.3.1`,
  ),
  port(
    ACPI_PM_PORTS.control.start,
    ACPI_PM_PORTS.control.size,
    "acpi-control",
    "PM1a control: power off",
    `${ACPI}, 4.8.3.2`,
  ),
  port(
    ACPI_PM_PORTS.timer.start,
    ACPI_PM_PORTS.timer.size,
    "acpi-timer",
    "PM timer, 3.579545 MHz, 32 bits",
    `${ACPI}, 4.8.3.3`,
  ),
  port(
    PCI_PORTS.start,
    PCI_PORTS.size,
    "pci-host",
    "PCI configuration, without devices; byte 0xcf9: reset",
    "PCI 3.0, 3.2.2.3.2; Intel 82371SB, RST_CNT",
  ),
  port(0x2000, TESTDEV_IRQS, "testdev-irq", "test device: an interrupt line each", QEMU_TESTDEV),
  gpa(IO_APIC.gpa, 0x1000, "kernel", "I/O APIC, 24 inputs", "Intel 82093AA data sheet"),
  gpa(LOCAL_APIC_GPA, 0x1000, "kernel", "local APIC", "SDM volume 3, chapter 11"),
  gpa(0xff00_0000, TESTDEV_IOMEM_BYTES, "testdev-iomem", "test device: memory", QEMU_TESTDEV),
];

/** The devices of one machine, by the names that the table has for them. */
export type Devices = ReadonlyMap<string, Device>;

/**
 * Puts devices on the buses, where the table says.
 *
 * @param debugExitPort where the debug-exit port goes instead; as wide as there is room
 * @throws {RangeError} for a device that the table does not know
 * @throws {BusOverlapError} when another device claims the debug-exit port
 */
export function plugIn(
  devices: Devices,
  ports: PortBus,
  mmio: MmioBus,
  debugExitPort?: number,
): void {
  const known = new Set(ADDRESS_MAP.map((row) => row.device));
  for (const name of devices.keys()) {
    if (!known.has(name)) throw new RangeError(`${name} is not in the address map`);
  }
  for (const row of ADDRESS_MAP) {
    const device = devices.get(row.device);
    if (row.device === "debug-exit" && debugExitPort !== undefined) continue;
    if (device) (row.space === "port" ? ports : mmio).add(row, device);
  }
  const debugExit = devices.get("debug-exit");
  if (debugExit && debugExitPort !== undefined) {
    ports.add({ start: debugExitPort, size: roomAt(ports, debugExitPort) }, debugExit);
  }
}

/** How many ports from one on the debug-exit port can have: that one, and up to three free ones. */
function roomAt(ports: PortBus, start: number): number {
  let size = 1;
  while (size < 4 && start + size < 0x1_0000 && !ports.claims(start + size)) size++;
  return size;
}

/** The table in Markdown, for the documentation. */
export function addressMapMarkdown(): string {
  const range = ({ start, size }: BusRange): string =>
    size === 1 ? hex(start) : `${hex(start)}–${hex(start + size - 1)}`;
  const rows = ADDRESS_MAP.map((row) => {
    const where = `${row.space === "port" ? "port" : "GPA"} ${range(row)}`;
    const who = row.device === "kernel" ? "KVM" : "vmexit";
    return `| ${where} | ${row.description} | ${who} | ${row.source} |`;
  });
  return ["| where | device | by | source |", "| --- | --- | --- | --- |", ...rows].join("\n") +
    "\n";
}
