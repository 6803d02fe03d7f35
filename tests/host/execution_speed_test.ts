import { assert, assertEquals } from "@std/assert";
import { judgeSpeed, loopSpeed } from "../../src/host/execution_speed.ts";

/** A host that runs a number of turns a millisecond, and holds the n-th run up for a while. */
function host(turnsPerMs: number, stalls: Record<number, number> = {}) {
  const runs: number[] = [];
  return {
    runs,
    run: (turns: number): number => turns / turnsPerMs + (stalls[runs.push(turns)] ?? 0),
  };
}

Deno.test("a loop's speed is that of runs that take long enough", () => {
  const fast = host(1e6);
  assertEquals(loopSpeed(fast.run), 2e9);
  assert(fast.runs.at(-1)! / 1e6 >= 8);
  assertEquals(loopSpeed(host(1000).run), 2e6);
});

for (
  const [what, stalls] of [
    ["the first run", { 1: 14 }],
    ["the first three runs", { 1: 14, 2: 30, 3: 9 }],
    ["the run that counts", { 2: 300, 3: 300, 4: 300 }],
  ] as const
) {
  Deno.test(`a host that holds up ${what} does not make native execution emulated`, () => {
    assertEquals(judgeSpeed(loopSpeed(host(1e6, stalls).run)), "native");
  });
}

Deno.test("a host that is slow every time is reported as slow", () => {
  assertEquals(judgeSpeed(loopSpeed(host(700).run)), "emulated");
  assertEquals(judgeSpeed(loopSpeed(host(30_000).run)), "slow");
});
