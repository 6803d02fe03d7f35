/**
 * The reset control register at 0xcf9 (Intel 82371SB data sheet, RST_CNT). It
 * overlaps the PCI configuration address register, which takes only four-byte
 * accesses.
 *
 * @module
 */

import type { Device, MachineEventSink } from "./device.ts";

/** The port. */
export const RESET_CONTROL_PORT = 0xcf9;
/** Reset the system, not only the processor. */
const SYSTEM_RESET = 0x02;
/** A rising bit resets. */
const RESET_CPU = 0x04;
const FULL_RESET = 0x08;
/** What a guest writes to reset the machine. */
export const RESET_VALUE = SYSTEM_RESET | RESET_CPU;

/** The device behind port 0xcf9. */
export class ResetControl implements Device {
  readonly name = "reset-control";
  readonly accessBytes = 1;
  #value = 0;

  constructor(readonly onEvent: MachineEventSink) {}

  read(): number {
    return this.#value;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    const rises = (value & ~this.#value & RESET_CPU) !== 0;
    this.#value = value & (SYSTEM_RESET | RESET_CPU | FULL_RESET);
    if (rises) this.onEvent({ kind: "reset" });
  }
}
