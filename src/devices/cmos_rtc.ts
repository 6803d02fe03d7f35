/**
 * The real-time clock with its battery-backed RAM: date and time, memory sizes and
 * the number of processors. Registers as in the Motorola MC146818A data sheet; the
 * RAM as PC firmware fills it.
 *
 * The machine polls the device, which says when its next interrupt is due. So
 * interrupts come late by the host's latency, and at most 2000 times a second even
 * where the guest asks for shorter periods.
 *
 * @module
 */

import type { RamRange } from "../memory/ram.ts";
import type { Device, IrqSink } from "./device.ts";
import { RtcCalendar, type RtcField } from "./rtc_calendar.ts";

/** The index port and the data port. */
export const CMOS_PORTS = { start: 0x70, size: 2 } as const;
/** The first two digits of the year, where the FADT says. */
export const CMOS_CENTURY = 0x32;
/** Registers of the clock. */
const FIELDS: ReadonlyMap<number, RtcField> = new Map([
  [0x00, "second"],
  [0x02, "minute"],
  [0x04, "hour"],
  [0x07, "day"],
  [0x08, "month"],
  [0x09, "year"],
  [CMOS_CENTURY, "century"],
]);
const ALARM = { second: 0x01, minute: 0x03, hour: 0x05 } as const;
const WEEKDAY = 0x06;
const STATUS_A = 0x0a;
const STATUS_B = 0x0b;
const STATUS_C = 0x0c;
const STATUS_D = 0x0d;

/** Status A: the clock is about to change; the rest chooses the divider and the period. */
const UPDATE_IN_PROGRESS = 0x80;
const DIVIDER_AND_RATE = 0x26; // 32.768 kHz, 1024 Hz
/** Status B. */
const SET = 0x80;
const BINARY = 0x04;
const HOURS_24 = 0x02;
/** Status C: an enabled event has happened. */
const INTERRUPT_REQUEST = 0x80;
/** Events: in status C those that have happened, in status B those that interrupt. */
const PERIODIC = 0x40;
const ALARMED = 0x20;
const UPDATE_ENDED = 0x10;
const EVENTS = PERIODIC | ALARMED | UPDATE_ENDED;
/** An alarm register with these bits matches any time. */
const ANY = 0xc0;
/** Status D: the battery is good. */
const VALID_RAM = 0x80;
/** Hours of the 12-hour clock: the afternoon. */
const PM = 0x80;

/** Where firmware stores the machine's configuration. */
const EQUIPMENT = 0x14;
const BASE_MEMORY_KIB = 0x15;
const EXTENDED_MEMORY_KIB = [0x17, 0x30];
const MEMORY_ABOVE_16M = 0x34;
const MEMORY_ABOVE_4G = 0x5b;
const LAST_CPU = 0x5f;
const HAS_FPU = 0x02;
/** The units in which memory above 16 MiB and above 4 GiB is counted. */
const MEMORY_UNIT = 64 * 1024;
const MIB = 1024 * 1024;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** The shortest time after which it asks to be polled. */
const LEAST_WAIT_MS = 0.5;

/** The machine as the battery-backed RAM describes it. */
export interface CmosContent {
  /** Guest RAM, in ascending order. */
  readonly ram: readonly RamRange[];
  readonly cpus: number;
}

/**
 * The device behind ports 0x70 (index) and 0x71 (data).
 *
 * @example
 * ```ts
 * import { CmosRtc } from "./cmos_rtc.ts";
 * const ram = [{ gpa: 0, sizeBytes: 1 << 20 }];
 * const rtc = new CmosRtc({ ram, cpus: 1 }, () => new Date("2026-11-21T17:04:05Z"));
 * rtc.write(0, 1, 0x04);
 * console.log(rtc.read(1).toString(16)); // "17": hours, in BCD
 * ```
 */
export class CmosRtc implements Device {
  readonly name = "cmos";
  readonly accessBytes = 1;
  readonly #ram = new Uint8Array(128);
  readonly #calendar: RtcCalendar;
  #index = 0;
  /** Events since register C was last read, and the time up to which they were detected. */
  #events = 0;
  #seenMs: number;
  /** The same in guest time, and the next alarm's guest time. */
  #seenGuestMs: number;
  #alarmMs = Infinity;

  /**
   * @param clock the time; the guest's clock shows it in UTC until the guest sets it
   * @param irq the interrupt line
   * @param onChange called when {@linkcode dueInMs} may have become shorter
   */
  constructor(
    content: CmosContent,
    readonly clock: () => Date,
    readonly irq: IrqSink = () => {},
    readonly onChange: () => void = () => {},
  ) {
    this.#ram[STATUS_A] = DIVIDER_AND_RATE;
    this.#ram[STATUS_B] = HOURS_24;
    this.#ram[STATUS_D] = VALID_RAM;
    this.#calendar = new RtcCalendar(clock);
    this.#seenMs = clock().getTime();
    this.#seenGuestMs = this.#seenMs;
    this.#setAlarm();
    this.#describe(content);
  }

  read(offset: number): number {
    // The index cannot be read back.
    return offset === 0 ? 0xff : this.#readRegister(this.#index);
  }

  write(offset: number, _sizeBytes: number, value: number): void {
    // The index's top bit masks NMIs on a PC. Nothing raises them here.
    if (offset === 0) this.#index = value & 0x7f;
    else this.#writeRegister(this.#index, value);
  }

  /** Raises the interrupt when it is due. */
  poll(): void {
    this.#detect();
    this.irq((this.#events & this.#ram[STATUS_B]!) !== 0);
  }

  /** Milliseconds until the next poll is due; `Infinity` while no interrupt can come. */
  get dueInMs(): number {
    const wanted = this.#ram[STATUS_B]! & EVENTS;
    if (wanted === 0 || wanted & this.#events) return Infinity;
    const next = (now: number, periodMs: number): number => periodMs - now % periodMs;
    let due = Infinity;
    if (wanted & PERIODIC) due = next(this.clock().getTime(), this.#periodMs);
    if (!this.#calendar.held) {
      const now = this.#calendar.nowMs;
      if (wanted & UPDATE_ENDED) due = Math.min(due, next(now, SECOND_MS));
      if (wanted & ALARMED) due = Math.min(due, this.#alarmMs - now);
    }
    return Math.max(due, LEAST_WAIT_MS);
  }

  #describe({ ram, cpus }: CmosContent): void {
    const below4G = ram[0]!.sizeBytes;
    const above4G = ram.slice(1).reduce((sum, range) => sum + range.sizeBytes, 0);
    const put = (at: number, bytes: number, value: number): void => {
      const most = 2 ** (8 * bytes) - 1;
      let rest = Math.max(0, Math.min(most, Math.floor(value)));
      for (let i = 0; i < bytes; i++, rest = Math.floor(rest / 256)) this.#ram[at + i] = rest % 256;
    };
    put(EQUIPMENT, 1, HAS_FPU);
    put(BASE_MEMORY_KIB, 2, Math.min(640, below4G / 1024));
    for (const at of EXTENDED_MEMORY_KIB) put(at, 2, (below4G - MIB) / 1024);
    put(MEMORY_ABOVE_16M, 2, (below4G - 16 * MIB) / MEMORY_UNIT);
    put(MEMORY_ABOVE_4G, 3, above4G / MEMORY_UNIT);
    put(LAST_CPU, 1, cpus - 1);
  }

  #readRegister(register: number): number {
    const field = FIELDS.get(register);
    if (field) return this.#encode(field, this.#calendar.get(field));
    switch (register) {
      case WEEKDAY:
        return this.#calendar.weekday;
      case STATUS_A:
        return this.#ram[STATUS_A]! | (this.#updating ? UPDATE_IN_PROGRESS : 0);
      case STATUS_C:
        return this.#takeEvents();
      default:
        return this.#ram[register]!;
    }
  }

  #writeRegister(register: number, value: number): void {
    const field = FIELDS.get(register);
    if (!field && register > STATUS_D) {
      this.#ram[register] = value;
      return;
    }
    this.#detect();
    if (field) this.#calendar.set(field, this.#decode(field, value));
    else if (register === STATUS_A) this.#ram[STATUS_A] = value & ~UPDATE_IN_PROGRESS;
    else if (register === STATUS_B) this.#controlB(value);
    else if (register !== WEEKDAY && register < STATUS_C) this.#ram[register] = value;
    this.#seenGuestMs = this.#calendar.nowMs;
    this.#setAlarm();
    this.poll();
    this.onChange();
  }

  #controlB(value: number): void {
    const held = (value & SET) !== 0;
    // A stopped clock has no update events.
    this.#ram[STATUS_B] = held ? value & ~UPDATE_ENDED : value;
    this.#calendar.hold(held);
  }

  /** The registers must not be read in the last 244 µs of a second; here, its last millisecond. */
  get #updating(): boolean {
    return !this.#calendar.held && this.#calendar.nowMs % SECOND_MS >= SECOND_MS - 1;
  }

  get #periodMs(): number {
    const rate = this.#ram[STATUS_A]! & 0x0f;
    if (rate === 0) return Infinity;
    // The two fastest choices are the slow ones at 256 and 128 Hz.
    const shift = rate < 3 ? rate + 6 : rate - 1;
    return SECOND_MS * 2 ** shift / 32768;
  }

  /** Detects the events since the last call. */
  #detect(): void {
    const now = this.clock().getTime();
    const passed = (from: number, to: number, periodMs: number): boolean =>
      Math.floor(from / periodMs) !== Math.floor(to / periodMs);
    if (passed(this.#seenMs, now, this.#periodMs)) this.#events |= PERIODIC;
    this.#seenMs = now;
    if (this.#calendar.held) return;
    const guestNow = this.#calendar.nowMs;
    if (passed(this.#seenGuestMs, guestNow, SECOND_MS)) this.#events |= UPDATE_ENDED;
    this.#seenGuestMs = guestNow;
    if (guestNow >= this.#alarmMs) {
      this.#events |= ALARMED;
      this.#setAlarm();
    }
  }

  /** Register C. */
  #takeEvents(): number {
    this.#detect();
    const events = this.#events;
    this.#events = 0;
    this.irq(false);
    this.onChange();
    return events | (events & this.#ram[STATUS_B]! ? INTERRUPT_REQUEST : 0);
  }

  /** Finds the next second that the alarm registers match, within a day. */
  #setAlarm(): void {
    this.#alarmMs = Infinity;
    if (this.#calendar.held) return;
    const now = this.#calendar.nowMs;
    const matches = (field: keyof typeof ALARM, value: number): boolean => {
      const alarm = this.#ram[ALARM[field]]!;
      return (alarm & ANY) === ANY || alarm === this.#encode(field, value);
    };
    const after = (ms: number, unitMs: number): number => (Math.floor(ms / unitMs) + 1) * unitMs;
    const canMatch = (field: keyof typeof ALARM, count: number): boolean =>
      Array.from({ length: count }).some((_, value) => matches(field, value));
    if (!canMatch("hour", 24) || !canMatch("minute", 60) || !canMatch("second", 60)) return;
    for (let at = after(now, SECOND_MS); at <= now + DAY_MS;) {
      const inDay = at - Math.floor(at / DAY_MS) * DAY_MS;
      if (!matches("hour", Math.floor(inDay / HOUR_MS))) at = after(at, HOUR_MS);
      else if (!matches("minute", Math.floor(inDay % HOUR_MS / MINUTE_MS))) {
        at = after(at, MINUTE_MS);
      } else if (!matches("second", Math.floor(inDay % MINUTE_MS / SECOND_MS))) at += SECOND_MS;
      else {
        this.#alarmMs = at;
        return;
      }
    }
  }

  #encode(field: RtcField, value: number): number {
    if (field === "hour" && !(this.#ram[STATUS_B]! & HOURS_24)) {
      return this.#encodeNumber((value + 11) % 12 + 1) | (value >= 12 ? PM : 0);
    }
    return this.#encodeNumber(value);
  }

  #decode(field: RtcField, value: number): number {
    if (field === "hour" && !(this.#ram[STATUS_B]! & HOURS_24)) {
      return this.#decodeNumber(value & ~PM) % 12 + (value & PM ? 12 : 0);
    }
    return this.#decodeNumber(value);
  }

  #encodeNumber(value: number): number {
    const shown = this.#ram[STATUS_B]! & BINARY ? value : Math.floor(value / 10) << 4 | value % 10;
    return shown & 0xff;
  }

  #decodeNumber(value: number): number {
    return this.#ram[STATUS_B]! & BINARY ? value : (value >> 4) * 10 + (value & 0x0f);
  }
}
