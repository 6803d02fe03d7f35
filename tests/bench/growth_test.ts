import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { decimal, duration, growthTable, size } from "../../bench/growth.ts";
import { type Panel, plot } from "../../bench/plot.ts";

const PANEL: Panel = {
  title: "A run with so much RAM",
  x: { name: "RAM", base: 4, label: size },
  y: { name: "time", base: 10, label: duration },
  curves: [
    { name: "vmexit", points: [[2 ** 24, 45.12], [2 ** 34, 50]] },
    { name: "QEMU pc", points: [[2 ** 24, 2800], [2 ** 34, 3000]] },
  ],
};

Deno.test("a panel's table has a line for each value and a column for each program", () => {
  assertEquals(growthTable(PANEL), [
    ["RAM", "vmexit", "QEMU pc"],
    ["16M", "45.1 ms", "2.8 s"],
    ["16G", "50 ms", "3 s"],
  ]);
});

Deno.test("numbers have three digits and a suffix", () => {
  assertEquals([1, 1e3, 121_345, 1e7].map(decimal), ["1", "1k", "121k", "10M"]);
  assertEquals([1024, 2 ** 18, 2 ** 26, 2 ** 34].map(size), ["1K", "256K", "64M", "16G"]);
  assertEquals([0.5, 999, 1000, 123_456].map(duration), ["0.5 ms", "999 ms", "1 s", "123 s"]);
});

Deno.test("the plot names what is drawn, and has colours for dark pages too", async () => {
  const svg = await plot([PANEL, { ...PANEL, title: "Another" }]);
  for (const text of ["A run with so much RAM", "Another", "QEMU pc", ">RAM<", ">16G<", ">1 s<"]) {
    assertStringIncludes(svg, text);
  }
  assertStringIncludes(svg, "prefers-color-scheme:dark");
  assert(svg.length < 100_000, `${svg.length} bytes`);
});

Deno.test("a curve has a mark at each of its points", async () => {
  const marks = (svg: string) => svg.match(/<path [^>]*fill="#2f81f7"/g)?.length ?? 0;
  const one = { ...PANEL, curves: PANEL.curves.slice(0, 1) };
  const [two, more] = [
    await plot([one]),
    await plot([{
      ...one,
      curves: [{ name: "vmexit", points: [[2 ** 24, 45], [2 ** 28, 46], [2 ** 34, 50]] }],
    }]),
  ];
  assertEquals(marks(more) - marks(two), 1);
});
