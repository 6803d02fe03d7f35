import { assertEquals } from "@std/assert";
import { combinationCount, combinationName, combinations } from "../../src/testing/matrix.ts";

Deno.test("a matrix has every combination, the last parameter changing fastest", () => {
  const matrix = { cpus: [1, 2], memory: ["16M", "5G"] };
  assertEquals(combinations(matrix).map(combinationName), [
    " [cpus=1 memory=16M]",
    " [cpus=1 memory=5G]",
    " [cpus=2 memory=16M]",
    " [cpus=2 memory=5G]",
  ]);
  assertEquals(combinationCount(matrix), 4);
});

Deno.test("no matrix is one combination without a name", () => {
  assertEquals(combinations({}).map(combinationName), [""]);
});
