/**
 * pvpanic: the port by which a guest kernel reports a panic (QEMU's
 * pvpanic specification, the ISA device).
 *
 * @module
 */

import type { Device, MachineEventSink } from "./device.ts";

/** The port. */
export const PVPANIC_PORT = 0x505;
/** Events, one bit each. The port reads as the supported ones. */
const PANICKED = 0x01;
/** The guest handles its panic itself with a crash kernel, so the run continues. */
const CRASH_LOADED = 0x02;
const SHUTDOWN = 0x04;

/** The device behind port 0x505. */
export class PvPanic implements Device {
  readonly name = "pvpanic";
  readonly accessBytes = 1;

  constructor(readonly onEvent: MachineEventSink) {}

  read(): number {
    return PANICKED | CRASH_LOADED | SHUTDOWN;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    if (value & PANICKED) this.onEvent({ kind: "panic" });
    else if (value & CRASH_LOADED) return;
    else if (value & SHUTDOWN) this.onEvent({ kind: "power_off" });
  }
}
