/**
 * The POST port at 0x80: a latch to which firmware writes its progress, and
 * kernels write for a short delay.
 *
 * @module
 */

import type { Device } from "./device.ts";

/** The device behind port 0x80. */
export class PostPort implements Device {
  readonly name = "post";
  readonly accessBytes = 1;
  #code = 0;

  read(): number {
    return this.#code;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    this.#code = value;
  }
}
