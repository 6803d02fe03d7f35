/**
 * A debug console: every byte written to the port is output (QEMU's isa-debugcon
 * at 0xe9; firmware uses 0x402).
 *
 * @module
 */

import type { ByteSink, Device } from "./device.ts";

/** The port reads as this value, by which guests detect the device. */
const PRESENT = 0xe9;

/** The device behind one debug-console port. */
export class DebugConsole implements Device {
  readonly accessBytes = 1;

  /** @param sink where the bytes go */
  constructor(readonly sink: ByteSink, readonly name = "debugcon") {}

  read(): number {
    return PRESENT;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    this.sink(value);
  }
}
