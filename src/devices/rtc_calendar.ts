/**
 * The real-time clock's date and time, which a guest may set field by field. The
 * device with its registers is in cmos_rtc.ts.
 *
 * @module
 */

/** The fields, in the order in which they are set. `year` is the year of the century. */
export const RTC_FIELDS = ["second", "minute", "hour", "day", "month", "year", "century"] as const;

/** One of {@linkcode RTC_FIELDS}. */
export type RtcField = typeof RTC_FIELDS[number];

type Fields = Record<RtcField, number>;

/**
 * A calendar clock in UTC that runs at the host's pace.
 *
 * @example
 * ```ts
 * import { RtcCalendar } from "./rtc_calendar.ts";
 * const calendar = new RtcCalendar(() => new Date("2026-11-21T17:04:05Z"));
 * calendar.set("hour", 23);
 * console.log(calendar.get("hour"), calendar.get("minute")); // 23 4
 * ```
 */
export class RtcCalendar {
  /** How far guest time is ahead of the host's, in milliseconds. */
  #offsetMs = 0;
  /** What the clock shows while it is stopped to be set. */
  #held: Fields | undefined;

  /** @param clock the host's time */
  constructor(readonly clock: () => Date) {}

  /** The guest's time in milliseconds since 1970, while the clock runs. */
  get nowMs(): number {
    return this.clock().getTime() + this.#offsetMs;
  }

  /** Whether the clock is stopped. */
  get held(): boolean {
    return this.#held !== undefined;
  }

  /** What a field shows. */
  get(field: RtcField): number {
    return (this.#held ?? this.#fields())[field];
  }

  /** The day of the week: 1 is Sunday. */
  get weekday(): number {
    return new Date(this.#held ? time(this.#held) : this.nowMs).getUTCDay() + 1;
  }

  /** Sets a field. An impossible date, such as 31 April, becomes the day that follows. */
  set(field: RtcField, value: number): void {
    const fields = this.#held ?? this.#fields();
    fields[field] = value;
    if (!this.#held) this.#apply(fields);
  }

  /** Stops the clock, so that several fields can be set, or restarts it from what it shows. */
  hold(hold: boolean): void {
    if (hold) {
      this.#held ??= this.#fields();
    } else if (this.#held) {
      this.#apply(this.#held);
      this.#held = undefined;
    }
  }

  #apply(fields: Fields): void {
    const now = this.nowMs;
    this.#offsetMs += time(fields) - (now - now % 1000);
  }

  #fields(): Fields {
    const now = new Date(this.nowMs);
    const year = now.getUTCFullYear();
    return {
      second: now.getUTCSeconds(),
      minute: now.getUTCMinutes(),
      hour: now.getUTCHours(),
      day: now.getUTCDate(),
      month: now.getUTCMonth() + 1,
      year: year % 100,
      century: Math.floor(year / 100) % 100, // so that no guest gets past the last date that JavaScript knows
    };
  }
}

function time({ century, year, month, day, hour, minute, second }: Fields): number {
  const date = new Date(0);
  date.setUTCFullYear(century * 100 + year, month - 1, day); // Date.UTC takes year 99 for 1999
  return date.setUTCHours(hour, minute, second);
}
