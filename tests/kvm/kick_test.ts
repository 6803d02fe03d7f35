/**
 * Kicks: signals between the threads of one process, which must never end it.
 *
 * @module
 */

import { assert, assertFalse } from "@std/assert";
import { gettid } from "../../ffi/signals.ts";
import { ThreadAlarm } from "../../src/kvm/alarm.ts";
import { awaitKicks, kick, takeKick } from "../../src/kvm/kick.ts";

Deno.test("a pending kick outlives an alarm, and does no harm", () => {
  const alarm = new ThreadAlarm();
  awaitKicks();
  kick(gettid());
  alarm[Symbol.dispose]();
  assert(takeKick(), "the process would have ended");
});

Deno.test("however many kicks have come, they are taken at once", () => {
  awaitKicks();
  for (let i = 0; i < 3; i++) kick(gettid());
  assert(takeKick());
  assertFalse(takeKick());
});
