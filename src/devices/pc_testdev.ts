/**
 * QEMU's test device for the PC, which kvm-unit-tests use: memory behind ports and
 * MMIO, interrupt lines to raise by hand, and a way to flush KVM's mapping of a
 * page (QEMU, hw/misc/pc-testdev.c).
 *
 * @module
 */

import type { Device, IrqSink } from "./device.ts";

/** How much MMIO memory it has. */
export const TESTDEV_IOMEM_BYTES = 0x1_0000;
/** How many interrupt lines. */
export const TESTDEV_IRQS = 24;
const PAGE_MASK = ~0xfff;

/** What the test device needs of the machine. */
export interface PcTestDevOptions {
  /** Drives an interrupt line, 0 to 23. */
  readonly irq: (line: number) => IrqSink;
  /** Drops KVM's mapping of the page at a GPA; the next access maps it again. */
  readonly flushPage: (gpa: number) => void;
}

/** The test device, with a device for each of its ranges. */
export class PcTestDev {
  /** Behind ports 0xe0 to 0xe3: four bytes of memory, accessed at any width. */
  readonly data: Device;
  /** Behind ports 0xe4 to 0xe7: takes the GPA of a page to flush. */
  readonly flush: Device;
  /** Behind port 0xe8, and from 0xea on (0xe9 is the debug console's): the same four bytes. */
  readonly bytes: readonly [first: Device, third: Device];
  /** Behind ports 0x2000 to 0x2017: one interrupt line per port. */
  readonly irq: Device;
  /** Behind the GPAs from 0xff000000 on: memory. */
  readonly iomem: Device;

  constructor(options: PcTestDevOptions) {
    const word = new Uint8Array(4);
    this.data = memory("testdev-data", word, 4);
    this.bytes = [memory("testdev-bytes", word, 1), memory("testdev-bytes", word.subarray(2), 1)];
    this.iomem = memory("testdev-iomem", new Uint8Array(TESTDEV_IOMEM_BYTES), 4);
    this.flush = {
      name: "testdev-flush",
      accessBytes: 4,
      read: () => 0,
      write: (offset, sizeBytes, value) => {
        if (offset === 0 && sizeBytes === 4) options.flushPage((value & PAGE_MASK) >>> 0);
      },
    };
    const lines = Array.from({ length: TESTDEV_IRQS }, (_, line) => options.irq(line));
    this.irq = {
      name: "testdev-irq",
      accessBytes: 1,
      read: () => 0,
      write: (offset, _sizeBytes, value) => lines[offset]!(value !== 0),
    };
  }
}

/** A device that is memory, little-endian. */
function memory(name: string, bytes: Uint8Array, accessBytes: 1 | 4): Device {
  return {
    name,
    accessBytes,
    read: (offset, sizeBytes) => {
      let value = 0;
      for (let i = 0; i < sizeBytes; i++) value += bytes[offset + i]! * 2 ** (8 * i);
      return value;
    },
    write: (offset, sizeBytes, value) => {
      for (let i = 0; i < sizeBytes; i++) bytes[offset + i] = value >>> (8 * i);
    },
  };
}
