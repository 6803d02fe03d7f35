/**
 * The debug-exit port: a guest that writes V ends the process with exit code
 * `(V << 1) | 1`, as QEMU's isa-debug-exit does.
 *
 * @module
 */

import type { Device } from "./device.ts";

/** The device behind ports 0xf4 to 0xf7. */
export class DebugExitPort implements Device {
  readonly name = "debug-exit";
  readonly accessBytes = 4;

  /** @param onExit called with what the guest wrote */
  constructor(readonly onExit: (value: number) => void) {}

  read(): number {
    return 0;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    this.onExit(value);
  }
}

/** The process exit code for a value: always odd, and cut to a byte by the system. */
export function debugExitCode(value: number): number {
  return ((value << 1) | 1) & 0xff;
}
