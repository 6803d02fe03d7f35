/**
 * A 16550A serial port: FIFOs, interrupts, modem lines, loopback. Registers as
 * in the National Semiconductor PC16550D data sheet.
 *
 * The line has no speed: a byte is sent when it is written, and input arrives as
 * fast as the guest makes room, so nothing is lost. The receiver's timeout elapses
 * at once.
 *
 * @module
 */

import type { ByteSink, Device, IrqSink } from "./device.ts";

/** How many ports the device has. */
export const UART_PORTS = 8;

/** COM1 to COM4 of a PC: their ports, and their interrupts, each shared by two. */
export const COM_PORTS = [
  { start: 0x3f8, size: UART_PORTS, irq: 4 },
  { start: 0x2f8, size: UART_PORTS, irq: 3 },
  { start: 0x3e8, size: UART_PORTS, irq: 4 },
  { start: 0x2e8, size: UART_PORTS, irq: 3 },
] as const;

/** Register offsets. */
export const DATA = 0;
const INTERRUPT_ENABLE = 1;
const INTERRUPT_ID = 2; // read; the FIFO control when written
const LINE_CONTROL = 3;
const MODEM_CONTROL = 4;
export const LINE_STATUS = 5;
const MODEM_STATUS = 6;
const SCRATCH = 7;

/** Interrupt enable: which sources may interrupt. */
const IER = { received: 0x01, transmitterEmpty: 0x02, lineStatus: 0x04, modemStatus: 0x08 };
/** Interrupt identification, in order of priority. */
const IIR = {
  lineStatus: 0x06,
  received: 0x04,
  receiveTimeout: 0x0c,
  transmitterEmpty: 0x02,
  modemStatus: 0x00,
  none: 0x01,
};
/** Interrupt identification: the FIFOs are on. */
const FIFOS_ON = 0xc0;
/** FIFO control. */
const FCR = { enable: 0x01, clearReceiver: 0x02, triggerShift: 6 };
/** By the top bits of the FIFO control: how many bytes make an interrupt. */
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;
const FIFO_BYTES = 16;
/** Line control: the first two registers are the divisor latch. */
const DIVISOR_LATCH_ACCESS = 0x80;
/** Line status. */
const LSR = { dataReady: 0x01, overrun: 0x02, transmitterEmpty: 0x60 };
/** Modem control: OUT2 connects a PC's UART with its interrupt line. */
const MCR = { dtr: 0x01, rts: 0x02, out1: 0x04, out2: 0x08, loopback: 0x10 };
/** Modem status: the lines, and four bits below each the bit for its change. */
const MSR = { cts: 0x10, dsr: 0x20, ring: 0x40, carrier: 0x80, lines: 0xf0 };
/** Marks a received byte that came from loopback. */
const LOOPED = 0x100;
/** A guest that polls for input so often, without sending, is taken to wait for it. */
const LISTENING_POLLS = 16;
/** The other end is always connected: carrier detect, data set ready, clear to send. */
const CONNECTED = MSR.carrier | MSR.dsr | MSR.cts;

/** The device behind one COM port. */
export class Uart16550 implements Device {
  readonly accessBytes = 1;

  #interruptEnable = 0;
  #fifosOn = false;
  #trigger = 1;
  #lineControl = 0x03; // 8 data bits
  #modemControl = 0;
  #modemChanges = 0;
  #scratch = 0;
  #divisorLow = 12; // 9600 baud
  #divisorHigh = 0;
  #overrun = false;
  /** The transmitter has become empty since the guest was last notified. */
  #emptied = false;
  /** The receiver's FIFO, or its one register: bytes, those from loopback with `LOOPED`. */
  #received: number[] = [];
  /** Input that the receiver has no room for yet. */
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** How much of its first piece has been received. */
  #waitingUsed = 0;
  #level = false;
  #listening = false;
  /** How often in a row the guest has polled for input. */
  #polls = 0;
  /** Called when the guest has read all input, to fetch more. */
  onDrained: () => void = () => {};
  /**
   * Called once, when the guest first asks for input: it enables the receive interrupt,
   * or keeps polling for input. A guest that only prints also reads the line status,
   * and may drain the receiver first, but then it sends.
   */
  onListening: () => void = () => {};

  /**
   * @param sink where transmitted bytes go
   * @param irq the interrupt line, called when its level changes
   */
  constructor(
    readonly sink: ByteSink,
    readonly name = "uart0",
    readonly irq: IrqSink = () => {},
  ) {}

  /** How many bytes of input wait for room in the receiver. */
  get backlog(): number {
    return this.#waitingBytes;
  }

  /**
   * The line status, as long as reading it has no side effect and a write to the data
   * register only sends the byte; else `undefined`.
   */
  get quietStatus(): number | undefined {
    const latch = this.#lineControl & DIVISOR_LATCH_ACCESS;
    const interrupts = this.#interruptEnable & IER.transmitterEmpty;
    return latch || interrupts || this.#loopback || this.#overrun ? undefined : this.#lineStatus();
  }

  /** Input for the guest; it keeps the bytes until the guest reads them. */
  receive(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#refill();
    this.#update();
  }

  read(offset: number): number {
    const latch = (this.#lineControl & DIVISOR_LATCH_ACCESS) !== 0;
    switch (offset) {
      case DATA:
        return latch ? this.#divisorLow : this.#take();
      case INTERRUPT_ENABLE:
        return latch ? this.#divisorHigh : this.#interruptEnable;
      case INTERRUPT_ID:
        return this.#identify();
      case LINE_CONTROL:
        return this.#lineControl;
      case MODEM_CONTROL:
        return this.#modemControl;
      case LINE_STATUS:
        return this.#lineStatus();
      case MODEM_STATUS: {
        const status = this.#modemLines() | this.#modemChanges;
        this.#modemChanges = 0;
        this.#update();
        return status;
      }
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
        else this.#transmit(value);
        break;
      case INTERRUPT_ENABLE:
        if (latch) this.#divisorHigh = value;
        else this.#enableInterrupts(value & 0x0f);
        break;
      case INTERRUPT_ID:
        this.#controlFifos(value);
        break;
      case LINE_CONTROL:
        this.#lineControl = value;
        break;
      case MODEM_CONTROL:
        this.#controlModem(value & 0x1f);
        break;
      case SCRATCH:
        this.#scratch = value;
        break;
    }
  }

  get #loopback(): boolean {
    return (this.#modemControl & MCR.loopback) !== 0;
  }

  #transmit(byte: number): void {
    this.#polls = 0;
    if (this.#loopback) this.#loop(byte);
    else this.sink(byte);
    // The line drops while the byte is being sent, so that an edge-triggered input sees each.
    this.#emptied = false;
    this.#update();
    this.#emptied = true;
    this.#update();
  }

  /** A byte loops back to the receiver, which may have no room for it. */
  #loop(byte: number): void {
    if (this.#received.length < this.#capacity) {
      this.#received.push(LOOPED | byte);
      return;
    }
    this.#overrun = true;
    if (!this.#fifosOn) this.#received[0] = LOOPED | byte;
  }

  #countPoll(): void {
    if (++this.#polls === LISTENING_POLLS) this.#listen();
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.onListening();
  }

  #take(): number {
    this.#countPoll();
    const byte = this.#received.shift() ?? 0;
    const hadMore = this.#waitingBytes > 0;
    this.#refill();
    if (hadMore && this.#waitingBytes === 0) this.onDrained();
    this.#update();
    return byte & 0xff;
  }

  get #capacity(): number {
    return this.#fifosOn ? FIFO_BYTES : 1;
  }

  /** Moves input into the receiver while it has room. In loopback, its pin is disconnected. */
  #refill(): void {
    if (this.#loopback) return;
    while (this.#waitingBytes > 0 && this.#received.length < this.#capacity) {
      const first = this.#waiting[0]!;
      this.#received.push(first[this.#waitingUsed++]!);
      this.#waitingBytes--;
      if (this.#waitingUsed === first.length) {
        this.#waiting.shift();
        this.#waitingUsed = 0;
      }
    }
  }

  #enableInterrupts(value: number): void {
    // Enabling the transmitter interrupt while the transmitter is empty raises it.
    if (value & ~this.#interruptEnable & IER.transmitterEmpty) this.#emptied = true;
    this.#interruptEnable = value;
    this.#update();
    if (value & IER.received) this.#listen();
  }

  #controlFifos(value: number): void {
    const on = (value & FCR.enable) !== 0;
    if (on !== this.#fifosOn || value & FCR.clearReceiver) this.#clearReceiver();
    this.#fifosOn = on;
    this.#trigger = on ? TRIGGER_LEVELS[value >> FCR.triggerShift as 0 | 1 | 2 | 3] : 1;
    this.#refill();
    this.#update();
  }

  /** Input that the guest has not read counts as not arrived: the receiver gets it again. */
  #clearReceiver(): void {
    const input = this.#received.filter((byte) => !(byte & LOOPED));
    this.#received = [];
    if (input.length === 0) return;
    const first = this.#waiting[0]?.subarray(this.#waitingUsed) ?? [];
    this.#waiting.splice(0, 1, Uint8Array.from([...input, ...first]));
    this.#waitingUsed = 0;
    this.#waitingBytes += input.length;
  }

  #controlModem(value: number): void {
    const before = this.#modemLines();
    this.#modemControl = value;
    const after = this.#modemLines();
    // Only the trailing edge of the ring indicator is reported.
    const changes = (before ^ after) & ~(after & MSR.ring);
    this.#modemChanges |= changes >> 4;
    this.#refill();
    this.#update();
  }

  #lineStatus(): number {
    this.#countPoll();
    const status = LSR.transmitterEmpty |
      (this.#received.length > 0 ? LSR.dataReady : 0) |
      (this.#overrun ? LSR.overrun : 0);
    if (this.#overrun) {
      this.#overrun = false;
      this.#update();
    }
    return status;
  }

  /** In loopback, the four modem outputs drive the four modem inputs. */
  #modemLines(): number {
    if (!this.#loopback) return CONNECTED;
    const control = this.#modemControl;
    return (control & MCR.rts ? MSR.cts : 0) | (control & MCR.dtr ? MSR.dsr : 0) |
      (control & MCR.out1 ? MSR.ring : 0) | (control & MCR.out2 ? MSR.carrier : 0);
  }

  #identify(): number {
    const source = this.#pending();
    if (source === IIR.transmitterEmpty) {
      this.#emptied = false;
      this.#update();
    }
    return source | (this.#fifosOn ? FIFOS_ON : 0);
  }

  /** The pending interrupt with the highest priority. */
  #pending(): number {
    const enabled = this.#interruptEnable;
    if (enabled & IER.lineStatus && this.#overrun) return IIR.lineStatus;
    if (enabled & IER.received && this.#received.length > 0) {
      return this.#received.length >= this.#trigger ? IIR.received : IIR.receiveTimeout;
    }
    if (enabled & IER.transmitterEmpty && this.#emptied) return IIR.transmitterEmpty;
    if (enabled & IER.modemStatus && this.#modemChanges) return IIR.modemStatus;
    return IIR.none;
  }

  /** Updates the interrupt line. In loopback, all outputs are inactive, OUT2 included. */
  #update(): void {
    const connected = (this.#modemControl & (MCR.out2 | MCR.loopback)) === MCR.out2;
    const level = connected && this.#pending() !== IIR.none;
    if (level === this.#level) return;
    this.#level = level;
    this.irq(level);
  }
}
