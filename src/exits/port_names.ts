/**
 * Names of PC I/O ports, for the trace: `port=0x3f8 (COM1)`.
 *
 * A name says which device owns the port; where one device's ports have
 * different roles (an index and a data port, say) the role follows a hyphen.
 *
 * The numbers come from the ISA and PC/AT conventions (IBM PC/AT Technical
 * Reference; Intel 8237A, 8254, 8259A, 82371SB data sheets), the PCI Local Bus
 * specification 3.0 section 3.2.2.3.2, and QEMU's device documentation
 * (fw_cfg, pvpanic, isa-debugcon, isa-debug-exit, pc-testdev).
 *
 * @module
 */

/** Ports `first` to `last`, both included, and their name. */
export type PortRange = readonly [first: number, last: number, name: string];

/** All named ports, in ascending order and without overlaps. */
export const PORT_RANGES: readonly PortRange[] = [
  [0x00, 0x0f, "DMA1"],
  [0x20, 0x20, "PIC1-command"],
  [0x21, 0x21, "PIC1-data"],
  [0x22, 0x22, "IMCR-index"],
  [0x23, 0x23, "IMCR-data"],
  [0x2e, 0x2e, "SuperIO-index"],
  [0x2f, 0x2f, "SuperIO-data"],
  [0x40, 0x40, "PIT-counter0"],
  [0x41, 0x41, "PIT-counter1"],
  [0x42, 0x42, "PIT-counter2"],
  [0x43, 0x43, "PIT-command"],
  [0x4e, 0x4e, "SuperIO2-index"],
  [0x4f, 0x4f, "SuperIO2-data"],
  [0x60, 0x60, "KBD-data"],
  [0x61, 0x61, "system-control-B"],
  [0x64, 0x64, "KBD-command"],
  [0x70, 0x70, "RTC-index"],
  [0x71, 0x71, "RTC-data"],
  [0x72, 0x72, "RTC2-index"],
  [0x73, 0x73, "RTC2-data"],
  [0x80, 0x80, "POST"],
  [0x81, 0x8f, "DMA-page"],
  [0x92, 0x92, "system-control-A"],
  [0xa0, 0xa0, "PIC2-command"],
  [0xa1, 0xa1, "PIC2-data"],
  [0xb2, 0xb2, "APM-control"],
  [0xb3, 0xb3, "APM-status"],
  [0xc0, 0xdf, "DMA2"],
  [0xe0, 0xe3, "testdev-data"],
  [0xe4, 0xe7, "testdev-flush"],
  // pc-testdev claims 0xe8 to 0xeb, but the debug console's 0xe9 is far more often meant.
  [0xe8, 0xe8, "testdev-bytes"],
  [0xe9, 0xe9, "debugcon"],
  [0xea, 0xeb, "testdev-bytes"],
  [0xf0, 0xf1, "FPU"],
  [0xf4, 0xf7, "debug-exit"],
  [0x170, 0x177, "IDE2"],
  [0x1ce, 0x1ce, "VBE-index"],
  [0x1cf, 0x1d0, "VBE-data"],
  [0x1f0, 0x1f7, "IDE1"],
  [0x200, 0x207, "gameport"],
  [0x278, 0x278, "LPT2"],
  // LPT2's read-only status port doubles as the write-only ISA Plug and Play address port.
  [0x279, 0x279, "PnP-address"],
  [0x27a, 0x27a, "LPT2"],
  [0x2e8, 0x2ef, "COM4"],
  [0x2f8, 0x2ff, "COM2"],
  [0x376, 0x376, "IDE2-control"],
  [0x378, 0x37a, "LPT1"],
  [0x3b0, 0x3bb, "VGA"],
  [0x3bc, 0x3be, "LPT3"],
  [0x3bf, 0x3df, "VGA"],
  [0x3e8, 0x3ef, "COM3"],
  [0x3f0, 0x3f5, "FDC"],
  [0x3f6, 0x3f6, "IDE1-control"],
  [0x3f7, 0x3f7, "FDC"],
  [0x3f8, 0x3ff, "COM1"],
  [0x402, 0x402, "firmware-debug"],
  [0x4d0, 0x4d0, "ELCR1"],
  [0x4d1, 0x4d1, "ELCR2"],
  [0x505, 0x505, "pvpanic"],
  [0x510, 0x510, "fw_cfg-selector"],
  [0x511, 0x511, "fw_cfg-data"],
  [0x514, 0x51b, "fw_cfg-DMA"],
  [0x600, 0x603, "PM1a-event"],
  [0x604, 0x605, "PM1a-control"],
  [0x608, 0x60b, "PM-timer"],
  [0xa79, 0xa79, "PnP-write-data"],
  [0xcf8, 0xcf8, "PCI-config-address"],
  [0xcf9, 0xcf9, "reset-control"],
  [0xcfa, 0xcfb, "PCI-config-address"],
  [0xcfc, 0xcff, "PCI-config-data"],
  [0x2000, 0x2017, "testdev-irq"],
  [0x5658, 0x5658, "VMware-backdoor"],
];

const NAMES = new Map<number, string>();
for (const [first, last, name] of PORT_RANGES) {
  for (let port = first; port <= last; port++) NAMES.set(port, name);
}

/**
 * The name of an I/O port, or `undefined` for a port that has none.
 * Cheap enough to be called for every traced exit: it allocates nothing.
 *
 * @example
 * ```ts
 * import { portName } from "./port_names.ts";
 * console.log(portName(0x3f8)); // "COM1"
 * ```
 */
export function portName(port: number): string | undefined {
  return NAMES.get(port);
}
