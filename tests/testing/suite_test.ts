import { assertEquals } from "@std/assert";
import { selectTests } from "../../src/testing/suite.ts";
import { testCase } from "../lib/testing.ts";

const TESTS = ["Alpha", "beta", "gamma", "alphabet", "delta"].map((name, i) =>
  testCase({ name, tags: i % 2 === 0 ? ["even", "all"] : ["odd", "all"] })
);

function names(selection: Partial<Parameters<typeof selectTests>[1]>): string[] {
  return selectTests(TESTS, { tags: [], repeat: 1, ...selection }).map(({ test }) => test.name);
}

Deno.test("a filter is part of the name in any case", () => {
  assertEquals(names({ filter: "ALPHA" }), ["Alpha", "alphabet"]);
  assertEquals(names({ filter: "" }).length, 5);
});

Deno.test("one of the tags is enough", () => {
  assertEquals(names({ tags: ["odd"] }), ["beta", "alphabet"]);
  assertEquals(names({ tags: ["odd", "even"] }).length, 5);
  assertEquals(names({ tags: ["none"] }), []);
});

Deno.test("shards are disjoint, and together all that is selected", () => {
  const shards = [1, 2, 3].map((index) => names({ shard: { index, count: 3 } }));
  assertEquals(shards, [["Alpha", "alphabet"], ["beta", "delta"], ["gamma"]]);
  assertEquals(names({ tags: ["odd"], shard: { index: 2, count: 2 } }), ["alphabet"]);
});

Deno.test("repeated tests are numbered", () => {
  const runs = selectTests(TESTS, { tags: ["odd"], repeat: 2 });
  assertEquals(runs.map(({ test, run, runs }) => [test.name, run, runs]), [
    ["beta", 1, 2],
    ["beta", 2, 2],
    ["alphabet", 1, 2],
    ["alphabet", 2, 2],
  ]);
});
