import { assertEquals } from "@std/assert";
import { decodeVarints, encodeVarints, NumberColumn } from "../../src/report/varint.ts";

const EDGES = [0, 1, 63, 64, 127, 128, 16383, 16384, 2 ** 32 - 1, 2 ** 32, 2 ** 49, 2 ** 53 - 1];

Deno.test("numbers come back as they were written", () => {
  const read = decodeVarints(encodeVarints(EDGES, false), new Float64Array(EDGES.length), false);
  assertEquals([...read], EDGES);
});

Deno.test("differences of either sign come back", () => {
  const values = [5, 0, 2 ** 51, 3, 3, 2 ** 40, 2 ** 40 - 1];
  const read = decodeVarints(encodeVarints(values, true), new Float64Array(values.length), true);
  assertEquals([...read], values);
});

Deno.test("a row that hardly differs from the one before takes a byte", () => {
  const rising = Array.from({ length: 1000 }, (_, i) => i * 60);
  assertEquals(encodeVarints(rising, true).length, 1000);
});

Deno.test("a column grows as long as rows come", () => {
  const column = new NumberColumn();
  for (let i = 0; i < 5000; i++) column.push(i);
  assertEquals([column.length, column.values()[4999]], [5000, 4999]);
});
