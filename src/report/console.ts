/**
 * Recovers the console output of a guest from its OUT exits to serial ports and debug consoles.
 *
 * @module
 */

import { COM_PORTS } from "../devices/uart16550.ts";
import type { ConsoleOutput } from "./rows.ts";

/** Registers of a 16550 and bits that decide whether a byte is sent. */
const DATA = 0;
const LINE_CONTROL = 3;
const MODEM_CONTROL = 4;
const DIVISOR_LATCH_ACCESS = 0x80;
const LOOPBACK = 0x10;

/** As much of a serial port as decides where a written byte goes. */
interface Port {
  latch: boolean;
  loopback: boolean;
}

/**
 * Collects console output, exit by exit.
 *
 * @example
 * ```ts
 * import { ConsoleReader } from "./console.ts";
 * const reader = new ConsoleReader();
 * reader.out(0, "uart0", 0x3f8, 1, new Uint8Array([0x48, 0x69]));
 * console.log(new TextDecoder().decode(reader.finish().bytes)); // "Hi"
 * ```
 */
export class ConsoleReader {
  readonly #ports = new Map<string, Port>();
  readonly #devices: string[] = [];
  #bytes = new Uint8Array(1024);
  #rows = new Uint32Array(1024);
  #from = new Uint8Array(1024);
  #length = 0;

  /**
   * The guest wrote to a port.
   *
   * @param row the exit's row
   * @param device who served it, by name
   * @param size bytes an item; what is wider than a byte goes to as many ports
   * @param data the items' bytes, which all go to that port
   */
  out(row: number, device: string, port: number, size: number, data: Uint8Array): void {
    if (/^debugcon\d?$/.test(device)) {
      for (const byte of data) this.#put(row, device, byte);
    } else if (/^uart[0-3]$/.test(device)) {
      const start = COM_PORTS[Number(device.at(-1))]!.start;
      data.forEach((byte, i) => this.#register(row, device, port + (i % size) - start, byte));
    }
  }

  #register(row: number, device: string, register: number, byte: number): void {
    let port = this.#ports.get(device);
    if (!port) this.#ports.set(device, port = { latch: false, loopback: false });
    if (register === LINE_CONTROL) port.latch = (byte & DIVISOR_LATCH_ACCESS) !== 0;
    else if (register === MODEM_CONTROL) port.loopback = (byte & LOOPBACK) !== 0;
    else if (register === DATA && !port.latch && !port.loopback) this.#put(row, device, byte);
  }

  #put(row: number, device: string, byte: number): void {
    let from = this.#devices.indexOf(device);
    if (from < 0) from = this.#devices.push(device) - 1;
    if (this.#length === this.#bytes.length) {
      const { bytes, row, device } = this.finish();
      this.#bytes = new Uint8Array(this.#length * 2);
      this.#bytes.set(bytes);
      this.#rows = new Uint32Array(this.#length * 2);
      this.#rows.set(row);
      this.#from = new Uint8Array(this.#length * 2);
      this.#from.set(device);
    }
    this.#bytes[this.#length] = byte;
    this.#rows[this.#length] = row;
    this.#from[this.#length++] = from;
  }

  /** All that was written. */
  finish(): ConsoleOutput {
    const length = this.#length;
    return {
      bytes: this.#bytes.subarray(0, length),
      row: this.#rows.subarray(0, length),
      device: this.#from.subarray(0, length),
      devices: this.#devices,
    };
  }
}
