import { assertEquals, assertThrows } from "@std/assert";
import { measurePairs, measureTurns, summarize } from "../../bench/pairs.ts";
import { rateOf } from "../../bench/run_loop.ts";

Deno.test("ratios are made within each pair, and their median counts", () => {
  // The second pair was made while the machine was half as fast.
  const { ours, peer, ratio } = summarize([90, 45, 100], [100, 50, 100]);
  assertEquals([ours, peer], [90, 100]);
  assertEquals(ratio, { median: 0.9, min: 0.9, max: 1 });
});

Deno.test("an even number of pairs has its median between the middle ones", () => {
  assertEquals(summarize([1, 2, 3, 6], [1, 1, 1, 1]).ratio.median, 2.5);
});

Deno.test("measurements that make no pairs are refused", () => {
  assertThrows(() => summarize([], []), RangeError);
  assertThrows(() => summarize([1, 2], [1]), RangeError);
});

Deno.test("the two are measured in turn, and the first of each does not count", async () => {
  const order: string[] = [];
  const measure = (name: string) => () => Promise.resolve(order.push(name));
  const { ours } = await measurePairs(2, measure("a"), measure("b"));
  assertEquals(order.join(""), "ababab");
  assertEquals(ours, 4); // of 3 and 5; the first one, 1, does not count
});

Deno.test("several peers are measured in one turn, and each has its own ratio", async () => {
  const order: string[] = [];
  const measure = (name: string, value: number) => () => {
    order.push(name);
    return Promise.resolve(value);
  };
  const peers = [measure("b", 2), measure("c", 4)];
  const results = await measureTurns(1, measure("a", 1), peers);
  assertEquals(order.join(""), "abcabc");
  assertEquals(results.map(({ ratio }) => ratio.median), [0.5, 0.25]);
});

Deno.test("a rate is read from a text trace's summary and from a JSON trace's outcome", () => {
  const text = "#3 +0.1ms cpu0 HLT\n--- 200 exits in 1.000 ms: 0.9 ms in the guest\n";
  assertEquals(rateOf(text), 200_000);
  const json = '{"type":"exit","n":1}\n{"type":"outcome","exits":50,"t_us":1000}\n';
  assertEquals(rateOf(json), 50_000);
});
