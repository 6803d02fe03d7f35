import { assertEquals } from "@std/assert";
import { RTC_FIELDS, RtcCalendar } from "../../src/devices/rtc_calendar.ts";

function calendar(at: string) {
  const time = { ms: Date.parse(at) };
  const clock = new RtcCalendar(() => new Date(time.ms));
  const shown = (): number[] => RTC_FIELDS.map((field) => clock.get(field)).reverse();
  return { clock, time, shown };
}

Deno.test("it shows the host's time in UTC, and runs", () => {
  const { clock, time, shown } = calendar("2026-11-21T23:59:58.500Z");
  assertEquals(shown(), [20, 26, 11, 21, 23, 59, 58]);
  assertEquals(clock.weekday, 7);
  time.ms += 2_000;
  assertEquals(shown(), [20, 26, 11, 22, 0, 0, 0]);
  assertEquals(clock.weekday, 1);
});

Deno.test("a date is set field by field, whatever the intermediate dates", () => {
  const { clock, shown } = calendar("2026-03-31T00:00:00Z");
  clock.hold(true);
  clock.set("month", 2);
  assertEquals(shown(), [20, 26, 2, 31, 0, 0, 0], "no such day, for now");
  clock.set("day", 15);
  clock.hold(false);
  assertEquals(shown(), [20, 26, 2, 15, 0, 0, 0]);
});

Deno.test("it keeps the fraction of the second", () => {
  const { clock, time } = calendar("2026-03-31T00:00:00.900Z");
  clock.set("second", 30);
  time.ms += 100;
  assertEquals(clock.get("second"), 31);
});

Deno.test("extreme dates are still dates", () => {
  const { clock } = calendar("2026-03-31T00:00:00Z");
  for (let i = 0; i < 10_000; i++) {
    for (const field of RTC_FIELDS) clock.set(field, 165);
    for (const field of RTC_FIELDS) assertEquals(Number.isInteger(clock.get(field)), true);
  }
  for (const field of RTC_FIELDS) clock.set(field, 0);
  assertEquals(clock.get("century"), 0);
});
