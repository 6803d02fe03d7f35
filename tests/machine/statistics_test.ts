import { assert, assertEquals } from "@std/assert";
import { RunStatistics } from "../../src/machine/statistics.ts";

Deno.test("exits are counted by reason, most frequent first", () => {
  const statistics = new RunStatistics(false);
  for (const reason of [2, 6, 2, 5, 2, 6]) statistics.count(reason);
  assertEquals(statistics.exits, 6);
  assertEquals(statistics.byReason(), [[2, 3], [6, 2], [5, 1]]);
});

Deno.test("ports and GPAs are counted where details are asked for, GPAs by page", () => {
  const statistics = new RunStatistics(true);
  for (const port of [0x80, 0xffff, 0x80, 0]) statistics.countPort(port);
  for (const gpa of [0xd000_0fff, 0xd000_0000, 0xd000_1000, 2 ** 63]) statistics.countGpa(gpa);
  assertEquals(statistics.byPort(), [[0x80, 2], [0, 1], [0xffff, 1]]);
  assertEquals(statistics.byPage(), [[0xd000_0000, 2], [0xd000_1000, 1], [2 ** 63, 1]]);
});

Deno.test("without details, ports and GPAs and time are not kept", () => {
  const statistics = new RunStatistics(false);
  statistics.enter();
  statistics.countPort(0x80);
  statistics.countGpa(0xd000_0000);
  statistics.leave();
  assertEquals([statistics.byPort(), statistics.byPage()], [[], []]);
  assertEquals([statistics.guestMs, statistics.leftAt], [0, 0]);
});

Deno.test("a guest that touches pages without end does not fill the host's memory", () => {
  const statistics = new RunStatistics(true);
  for (let page = 0; page < 5000; page++) statistics.countGpa(page * 4096);
  statistics.countGpa(0);
  assertEquals(statistics.byPage().length, 4096);
  assertEquals(statistics.byPage()[0], [0, 2], "known pages are still counted");
});

Deno.test("a reason beyond all that are known is counted somewhere", () => {
  const statistics = new RunStatistics(false);
  statistics.count(0xffff_ffff);
  assertEquals(statistics.exits, 1);
  assertEquals(statistics.byReason().length, 1);
});

Deno.test("the time in the guest is what lies between entering and leaving", () => {
  const statistics = new RunStatistics(true);
  const before = performance.now();
  for (let i = 0; i < 2; i++) {
    statistics.enter();
    statistics.leave();
  }
  assert(statistics.guestMs >= 0 && statistics.guestMs <= performance.now() - before);
  assert(statistics.leftAt >= before && statistics.leftAt <= performance.now());
});
