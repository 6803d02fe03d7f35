/**
 * System control port A at 0x92, of the IBM PS/2: the fast A20 gate and the fast
 * reset (PS/2 Hardware Interface Technical Reference, System Control Port A).
 *
 * @module
 */

import type { A20Gate } from "./a20_gate.ts";
import type { Device, MachineEventSink } from "./device.ts";

const RESET = 0x01;
const A20 = 0x02;

/** The device behind port 0x92. */
export class SystemControlA implements Device {
  readonly name = "system-control-a";
  readonly accessBytes = 1;
  #reset = false;

  constructor(readonly a20: A20Gate, readonly onEvent: MachineEventSink) {}

  read(): number {
    return (this.a20.enabled ? A20 : 0) | (this.#reset ? RESET : 0);
  }

  /** Only a rising reset bit resets. */
  write(_offset: number, _sizeBytes: number, value: number): void {
    const reset = (value & RESET) !== 0;
    const rises = reset && !this.#reset;
    this.#reset = reset;
    this.a20.enabled = (value & A20) !== 0;
    if (rises) this.onEvent({ kind: "reset" });
  }
}
