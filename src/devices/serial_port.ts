/**
 * A serial port: a UART and the backend that it is connected to.
 *
 * @module
 */

import type { IrqSink } from "./device.ts";
import type { SerialBackend } from "./serial_backend.ts";
import { Uart16550 } from "./uart16550.ts";

/** No more input is fetched while the guest has this many bytes to read. */
const ENOUGH_BYTES = 64 * 1024;

/** One COM port. */
export class SerialPort {
  readonly uart: Uart16550;

  /** @param name what the trace calls the UART */
  constructor(readonly backend: SerialBackend, name: string, irq?: IrqSink) {
    this.uart = new Uart16550(backend.write, name, irq);
    this.uart.onDrained = () => this.#fetch();
    this.uart.onListening = () => backend.listening?.();
  }

  /** Passes input to the UART and flushes output. @returns whether input came */
  poll(): boolean {
    const came = this.#fetch();
    this.backend.flush?.();
    return came;
  }

  #fetch(): boolean {
    let came = false;
    while (this.uart.backlog < ENOUGH_BYTES) {
      const bytes = this.backend.poll?.();
      if (!bytes) break;
      this.uart.receive(bytes);
      came = true;
    }
    return came;
  }
}
