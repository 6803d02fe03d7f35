/**
 * ACPI's fixed hardware: the PM1a event and control registers and the power
 * management timer (ACPI 6.5, sections 4.8.3.1 to 4.8.3.3). There are no
 * buttons, and soft-off is the only sleep state.
 *
 * @module
 */

import type { Device, IrqSink, MachineEventSink } from "./device.ts";

/** Where the registers are: status and enable, control, timer. */
export const ACPI_PM_PORTS = {
  event: { start: 0x600, size: 4 },
  control: { start: 0x604, size: 2 },
  timer: { start: 0x608, size: 4 },
} as const;

/** The timer's frequency. */
const TICKS_PER_MS = 3579.545;
/** The ticks between two changes of the timer's top bit, which set its status bit. */
const HALF_TURN = 2 ** 31;
/** Status and enable: the timer. */
const TIMER = 0x0001;
/** The enable bits that exist: timer, global lock, power button, sleep button, clock. */
const ENABLES = 0x0721;
/** Control: ACPI is always enabled, which the FADT shows by naming no SMI command port. */
const SCI_ENABLE = 0x0001;
/** Control: bus-master wake. */
const BUS_MASTER_RELOAD = 0x0002;
const SLEEP_TYPE_SHIFT = 10;
const SLEEP_TYPE = 0x7 << SLEEP_TYPE_SHIFT;
/** Control: enter the sleep state. Reads as 0. */
const SLEEP_ENABLE = 0x2000;
/** The sleep type of soft-off, as in the DSDT's `\_S5`. */
export const S5_SLEEP_TYPE = 0;

/** The registers, with a device for each block. */
export class AcpiPm {
  /** PM1a status and enable. */
  readonly event: Device = {
    name: "acpi-pm",
    accessBytes: 1,
    read: (offset) => byteOf(offset < 2 ? this.#status : this.#enable, offset),
    write: (offset, _sizeBytes, value) => this.#writeEvent(offset, value),
  };
  /** PM1a control. */
  readonly control: Device = {
    name: "acpi-pm",
    accessBytes: 1,
    read: (offset) => byteOf(this.#control, offset),
    write: (offset, _sizeBytes, value) => this.#writeControl(offset, value),
  };
  /** The timer, of 32 bits. */
  readonly timer: Device = {
    name: "acpi-pm-timer",
    accessBytes: 4,
    read: (offset, sizeBytes) => {
      const ticks = this.#ticks % 2 ** 32;
      return Math.floor(ticks / 2 ** (8 * offset)) % 2 ** (8 * sizeBytes);
    },
    write: () => {},
  };

  #enable = 0;
  #control = SCI_ENABLE;
  /** The half turn of the timer in which its status was last cleared. */
  #clearedIn = 0;
  readonly #startMs: number;

  /**
   * @param nowMs a clock that never goes back, in milliseconds
   * @param sci the system control interrupt's line
   */
  constructor(
    readonly onEvent: MachineEventSink,
    readonly nowMs: () => number,
    readonly sci: IrqSink = () => {},
  ) {
    this.#startMs = nowMs();
  }

  /** Raises the interrupt when it is due. The machine polls it. */
  poll(): void {
    this.sci((this.#status & this.#enable) !== 0);
  }

  get #ticks(): number {
    return Math.floor((this.nowMs() - this.#startMs) * TICKS_PER_MS);
  }

  get #halfTurn(): number {
    return Math.floor(this.#ticks / HALF_TURN);
  }

  get #status(): number {
    return this.#halfTurn !== this.#clearedIn ? TIMER : 0;
  }

  #writeEvent(offset: number, value: number): void {
    if (offset >= 2) this.#enable = withByte(this.#enable, offset, value) & ENABLES;
    else if (withByte(0, offset, value) & TIMER) this.#clearedIn = this.#halfTurn;
    this.poll();
  }

  #writeControl(offset: number, value: number): void {
    const written = withByte(this.#control, offset, value);
    this.#control = SCI_ENABLE | (written & (BUS_MASTER_RELOAD | SLEEP_TYPE));
    const type = (written & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT;
    if (written & SLEEP_ENABLE && type === S5_SLEEP_TYPE) this.onEvent({ kind: "power_off" });
  }
}

/** The byte of a 16-bit register at an offset. */
function byteOf(register: number, offset: number): number {
  return (register >> (8 * (offset & 1))) & 0xff;
}

/** The register with that byte replaced. */
function withByte(register: number, offset: number, byte: number): number {
  const shift = 8 * (offset & 1);
  return (register & ~(0xff << shift)) | (byte << shift);
}
