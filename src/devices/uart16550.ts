/**
 * A 16550 serial port for a polling driver: output, line status, scratch and
 * divisor latch. Registers as in the National Semiconductor PC16550D data sheet.
 *
 * @module
 */

import type { ByteSink, Device } from "./device.ts";

/** How many ports the device has. */
export const UART_PORTS = 8;

/** Register offsets. */
const DATA = 0;
const INTERRUPT_ENABLE = 1;
const INTERRUPT_ID = 2; // read; the FIFO control when written
const LINE_CONTROL = 3;
const MODEM_CONTROL = 4;
const LINE_STATUS = 5;
const MODEM_STATUS = 6;
const SCRATCH = 7;

/** Line control: the first two registers are the divisor latch. */
const DIVISOR_LATCH_ACCESS = 0x80;
/** Line status: a byte has arrived. */
const DATA_READY = 0x01;
/** Line status: transmitter holding register and shift register are empty. */
const TRANSMITTER_EMPTY = 0x60;
/** Interrupt identification: nothing is pending. */
const NO_INTERRUPT = 0x01;
/** Interrupt identification: the FIFOs are on. */
const FIFO_ENABLED = 0xc0;
/** Modem control: loop the output back to the input. */
const LOOPBACK = 0x10;
/** Modem status: carrier detect, data set ready, clear to send. */
const MODEM_LINES = 0xb0;

/** The device behind one COM port. */
export class Uart16550 implements Device {
  readonly accessBytes = 1;

  #interruptEnable = 0;
  #fifoControl = 0;
  #lineControl = 0x03; // 8 data bits
  #modemControl = 0;
  #scratch = 0;
  #divisorLow = 12; // 9600 baud
  #divisorHigh = 0;
  #received: number | undefined;

  /** @param sink where transmitted bytes go */
  constructor(readonly sink: ByteSink, readonly name = "uart0") {}

  read(offset: number): number {
    const latch = (this.#lineControl & DIVISOR_LATCH_ACCESS) !== 0;
    switch (offset) {
      case DATA: {
        if (latch) return this.#divisorLow;
        const byte = this.#received ?? 0;
        this.#received = undefined;
        return byte;
      }
      case INTERRUPT_ENABLE:
        return latch ? this.#divisorHigh : this.#interruptEnable;
      case INTERRUPT_ID:
        return NO_INTERRUPT | (this.#fifoControl & 1 ? FIFO_ENABLED : 0);
      case LINE_CONTROL:
        return this.#lineControl;
      case MODEM_CONTROL:
        return this.#modemControl;
      case LINE_STATUS:
        return TRANSMITTER_EMPTY | (this.#received === undefined ? 0 : DATA_READY);
      case MODEM_STATUS:
        return this.#modemStatus();
      case SCRATCH:
        return this.#scratch;
      default:
        return 0xff;
    }
  }

  write(offset: number, _sizeBytes: number, value: number): void {
    const latch = (this.#lineControl & DIVISOR_LATCH_ACCESS) !== 0;
    switch (offset) {
      case DATA:
        if (latch) this.#divisorLow = value;
        else if (this.#modemControl & LOOPBACK) this.#received = value;
        else this.sink(value);
        break;
      case INTERRUPT_ENABLE:
        if (latch) this.#divisorHigh = value;
        else this.#interruptEnable = value & 0x0f;
        break;
      case INTERRUPT_ID:
        this.#fifoControl = value;
        break;
      case LINE_CONTROL:
        this.#lineControl = value;
        break;
      case MODEM_CONTROL:
        this.#modemControl = value & 0x1f;
        break;
      case SCRATCH:
        this.#scratch = value;
        break;
    }
  }

  /** In loopback the four modem outputs drive the four modem inputs. */
  #modemStatus(): number {
    const control = this.#modemControl;
    if (!(control & LOOPBACK)) return MODEM_LINES;
    const [dtr, rts, out1, out2] = [control & 1, control & 2, control & 4, control & 8];
    return (rts ? 0x10 : 0) | (dtr ? 0x20 : 0) | (out1 ? 0x40 : 0) | (out2 ? 0x80 : 0);
  }
}
