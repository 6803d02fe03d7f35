/**
 * The real-time clock with its battery-backed RAM: date and time, the sizes of
 * memory, the number of processors. Registers as in the Motorola MC146818A data
 * sheet; the RAM as PC firmware uses it.
 *
 * There is no alarm and no interrupt: a guest that wants to know of updates and
 * periods polls register C.
 *
 * @module
 */

import type { RamRange } from "../memory/ram.ts";
import type { Device } from "./device.ts";

/** The index port and the data port. */
export const CMOS_PORTS = { start: 0x70, size: 2 } as const;
/** Registers of the clock. The alarm's, at 1, 3 and 5, are mere RAM here. */
const SECOND = 0x00;
const MINUTE = 0x02;
const HOUR = 0x04;
const WEEKDAY = 0x06;
const DAY = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const STATUS_A = 0x0a;
const STATUS_B = 0x0b;
const STATUS_C = 0x0c;
const STATUS_D = 0x0d;
/** The first two digits of the year, where the FADT says. */
export const CMOS_CENTURY = 0x32;

/** Status A: the clock is about to change; the rest chooses the divider and the period. */
const UPDATE_IN_PROGRESS = 0x80;
const DIVIDER_AND_RATE = 0x26; // 32.768 kHz, 1024 Hz
/** Status B. */
const SET = 0x80;
const BINARY = 0x04;
const HOURS_24 = 0x02;
/** Status C: something enabled has happened; a period is over; the clock has changed. */
const INTERRUPT_REQUEST = 0x80;
const PERIODIC = 0x40;
const UPDATE_ENDED = 0x10;
/** Status D: the battery is good. */
const VALID_RAM = 0x80;
/** Hours of the 12-hour clock: the afternoon. */
const PM = 0x80;

/** Where firmware leaves what it found. */
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

/** What the battery-backed RAM tells of the machine. */
export interface CmosContent {
  /** Guest RAM, in ascending order. */
  readonly ram: readonly RamRange[];
  readonly cpus: number;
}

/** The device behind ports 0x70 (index) and 0x71 (data). */
export class CmosRtc implements Device {
  readonly name = "cmos";
  readonly accessBytes = 1;
  readonly #ram = new Uint8Array(128);
  #index = 0;
  /** How far the guest has set the clock forward, in milliseconds. */
  #offsetMs = 0;
  /** The time at which the clock stands still, while the guest sets it. */
  #stoppedMs: number | undefined;
  /** When register C was last read. */
  #checkedMs: number;

  /** @param clock the time; the guest's clock shows it in UTC until the guest sets it */
  constructor(content: CmosContent, readonly clock: () => Date) {
    this.#ram[STATUS_A] = DIVIDER_AND_RATE;
    this.#ram[STATUS_B] = HOURS_24;
    this.#ram[STATUS_D] = VALID_RAM;
    this.#checkedMs = clock().getTime();
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

  #describe({ ram, cpus }: CmosContent): void {
    const below4G = ram[0]!.sizeBytes;
    const above4G = ram.slice(1).reduce((sum, range) => sum + range.sizeBytes, 0);
    const put = (at: number, bytes: number, value: number): void => {
      const most = 2 ** (8 * bytes) - 1;
      let left = Math.max(0, Math.min(most, Math.floor(value)));
      for (let i = 0; i < bytes; i++, left = Math.floor(left / 256)) this.#ram[at + i] = left % 256;
    };
    put(EQUIPMENT, 1, HAS_FPU);
    put(BASE_MEMORY_KIB, 2, Math.min(640, below4G / 1024));
    for (const at of EXTENDED_MEMORY_KIB) put(at, 2, (below4G - MIB) / 1024);
    put(MEMORY_ABOVE_16M, 2, (below4G - 16 * MIB) / MEMORY_UNIT);
    put(MEMORY_ABOVE_4G, 3, above4G / MEMORY_UNIT);
    put(LAST_CPU, 1, cpus - 1);
  }

  get #nowMs(): number {
    return this.#stoppedMs ?? this.clock().getTime() + this.#offsetMs;
  }

  #readRegister(register: number): number {
    switch (register) {
      case SECOND:
      case MINUTE:
      case HOUR:
      case WEEKDAY:
      case DAY:
      case MONTH:
      case YEAR:
      case CMOS_CENTURY:
        return this.#readTime(register);
      case STATUS_A:
        return this.#ram[STATUS_A]! | (this.#updating ? UPDATE_IN_PROGRESS : 0);
      case STATUS_C:
        return this.#takeFlags();
      default:
        return this.#ram[register]!;
    }
  }

  #writeRegister(register: number, value: number): void {
    switch (register) {
      case SECOND:
      case MINUTE:
      case HOUR:
      case DAY:
      case MONTH:
      case YEAR:
      case CMOS_CENTURY:
        this.#setTime(register, value);
        break;
      case WEEKDAY: // follows from the date
      case STATUS_C:
      case STATUS_D:
        break;
      case STATUS_A:
        this.#ram[STATUS_A] = value & ~UPDATE_IN_PROGRESS;
        break;
      case STATUS_B:
        this.#stop((value & SET) !== 0);
        this.#ram[STATUS_B] = value;
        break;
      default:
        this.#ram[register] = value;
    }
  }

  /** The registers must not be read in the last 244 µs of a second; here, its last millisecond. */
  get #updating(): boolean {
    return this.#stoppedMs === undefined && this.#nowMs % 1000 >= 999;
  }

  #readTime(register: number): number {
    const now = new Date(this.#nowMs);
    switch (register) {
      case SECOND:
        return this.#encode(now.getUTCSeconds());
      case MINUTE:
        return this.#encode(now.getUTCMinutes());
      case HOUR: {
        const hour = now.getUTCHours();
        if (this.#ram[STATUS_B]! & HOURS_24) return this.#encode(hour);
        return this.#encode((hour + 11) % 12 + 1) | (hour >= 12 ? PM : 0);
      }
      case WEEKDAY:
        return this.#encode(now.getUTCDay() + 1);
      case DAY:
        return this.#encode(now.getUTCDate());
      case MONTH:
        return this.#encode(now.getUTCMonth() + 1);
      case YEAR:
        return this.#encode(now.getUTCFullYear() % 100);
      default:
        return this.#encode(Math.floor(now.getUTCFullYear() / 100));
    }
  }

  #setTime(register: number, value: number): void {
    const before = this.#nowMs;
    const time = new Date(before);
    const number = this.#decode(value);
    const year = time.getUTCFullYear();
    switch (register) {
      case SECOND:
        time.setUTCSeconds(number);
        break;
      case MINUTE:
        time.setUTCMinutes(number);
        break;
      case HOUR:
        time.setUTCHours(this.#decodeHour(value));
        break;
      case DAY:
        time.setUTCDate(number);
        break;
      case MONTH:
        time.setUTCMonth(number - 1);
        break;
      case YEAR:
        time.setUTCFullYear(year - year % 100 + number);
        break;
      default:
        time.setUTCFullYear(number * 100 + year % 100);
    }
    const change = time.getTime() - before;
    if (this.#stoppedMs !== undefined) this.#stoppedMs += change;
    this.#offsetMs += change;
  }

  /** Stops the clock, or lets it go on from the time that it shows. */
  #stop(stop: boolean): void {
    if (stop) {
      this.#stoppedMs ??= this.#nowMs;
    } else if (this.#stoppedMs !== undefined) {
      this.#offsetMs = this.#stoppedMs - this.clock().getTime();
      this.#stoppedMs = undefined;
    }
  }

  /** Register C: what has happened since it was last read. */
  #takeFlags(): number {
    const now = this.#nowMs;
    const passed = (periodMs: number): boolean =>
      Math.floor(now / periodMs) !== Math.floor(this.#checkedMs / periodMs);
    const rate = this.#ram[STATUS_A]! & 0x0f;
    // The two fastest choices are the slow ones at 256 and 128 Hz.
    const shift = rate < 3 ? rate + 6 : rate - 1;
    const periodic = rate !== 0 && passed(1000 * 2 ** shift / 32768);
    const flags = (periodic ? PERIODIC : 0) | (passed(1000) ? UPDATE_ENDED : 0);
    this.#checkedMs = now;
    return flags | (flags & this.#ram[STATUS_B]! ? INTERRUPT_REQUEST : 0);
  }

  #encode(value: number): number {
    return this.#ram[STATUS_B]! & BINARY ? value : Math.floor(value / 10) << 4 | value % 10;
  }

  #decode(value: number): number {
    return this.#ram[STATUS_B]! & BINARY ? value : (value >> 4) * 10 + (value & 0x0f);
  }

  #decodeHour(value: number): number {
    if (this.#ram[STATUS_B]! & HOURS_24) return this.#decode(value);
    return this.#decode(value & ~PM) % 12 + (value & PM ? 12 : 0);
  }
}
