import { assertEquals } from "@std/assert";
import { cellsOf, quantity, type Row, tableOf, verdict } from "../../bench/row.ts";

const ROW: Row = {
  name: "port exits",
  unit: "exits/s",
  better: "more",
  turns: 1,
  peers: ["QEMU pc", "a C loop"],
  measure: () => Promise.resolve([]),
};

Deno.test("a row has its name beside the first peer only", () => {
  const result = { ours: 100_000, peer: 80_000, ratio: { median: 1.25, min: 1.2, max: 1.3 } };
  const cells = ["100,000", "80,000", "exits/s", "1.25 (1.20-1.30)"];
  assertEquals(cellsOf(ROW, 0, result), ["port exits", ...cells, "QEMU pc", ""]);
  assertEquals(cellsOf(ROW, 1, result), ["", ...cells, "a C loop", ""]);
});

Deno.test("the table says where vmexit loses", () => {
  assertEquals(verdict({ better: "more" }, 0.9), "loses");
  assertEquals(verdict({ better: "more" }, 1.1), "");
  assertEquals(verdict({ better: "less" }, 1.1), "loses");
  assertEquals(verdict({ better: "less" }, 0.9), "");
  assertEquals(verdict({ better: "less" }, 1.004), "", "it is shown as 1");
  assertEquals(verdict({}, 5), "", "they are no rivals");
});

Deno.test("the table says whether a target was met", () => {
  const target = { is: "at least", ratio: 0.95 } as const;
  assertEquals(verdict({ target }, 0.95), "meets at least 0.95");
  assertEquals(verdict({ target, better: "more" }, 0.94), "loses, misses at least 0.95");
  assertEquals(verdict({ target: { is: "at most", ratio: 2 } }, 2.1), "misses at most 2");
});

Deno.test("numbers have three digits or more", () => {
  assertEquals([0.1234, 12.34, 123.4, 1234.5].map(quantity), ["0.12", "12.3", "123.4", "1,235"]);
});

Deno.test("a table's columns are as wide as the widest cell", () => {
  const table = "| a   | peer |\n| --- | ---- |\n| b   | 1    |";
  assertEquals(tableOf([["a", "peer"], ["b", "1"]]), table);
});
