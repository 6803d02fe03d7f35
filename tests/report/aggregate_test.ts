import { assert, assertEquals } from "@std/assert";
import {
  aggregate,
  everyRow,
  firstRowAt,
  nearestRow,
  quantile,
  wholeRange,
} from "../../src/report/aggregate.ts";
import { regionsOf } from "../../src/report/regions.ts";
import { BEGIN, exit, mmio, out, preparedOf, traceOf } from "./trace_lines.ts";

const fault = (n: number, tUs: number, gpa: string) =>
  exit({
    n,
    t_us: tUs,
    reason: "MEMORY_FAULT",
    code: 39,
    memory_fault: { gpa, size: "0x1", access: "read", visibility: "shared", flags: "0x0" },
  });

Deno.test("exits are counted by vCPU, reason and time", async () => {
  const prepared = await preparedOf(
    out(1, 0, 0x3f8, "61"),
    { ...exit({ n: 2, t_us: 5 }), cpu: 7 },
    out(3, 5, 0x3f8, "61"),
    out(4, 9.9, 0x80, "61"),
  );
  const { rows } = prepared;
  const { cpus, counts, byReason, byPort } = aggregate(
    prepared,
    everyRow(rows),
    wholeRange(rows),
    2,
  );
  assertEquals(cpus, [0, 7]);
  // cpu0: IO, HLT; cpu7: IO, HLT; each in two bins.
  assertEquals([...counts as Uint32Array], [1, 2, 0, 0, 0, 0, 0, 1]);
  assertEquals(byReason.bars, [{ key: 0, count: 3 }, { key: 1, count: 1 }]);
  const ports = byPort.bars.map(({ key, count }) => [rows.tables.addresses[key as number], count]);
  assertEquals(ports, [[0x3f8n, 2], [0x80n, 1]]);
});

Deno.test("a histogram names the most frequent values and counts the others", async () => {
  const exits = Array.from({ length: 130 }, (_, i) => out(i + 1, i, i < 60 ? i : 0x3f8, "61"));
  const prepared = await preparedOf(...exits);
  const { byPort } = aggregate(prepared, everyRow(prepared.rows), wholeRange(prepared.rows), 1);
  assertEquals(byPort.bars[0]?.count, 70);
  assertEquals(byPort.bars.length, 50);
  assertEquals([byPort.total, byPort.otherValues, byPort.otherCount], [130, 11, 11]);
});

Deno.test("the time between exits is a vCPU's own, and what the guest did not take is vmexit's", async () => {
  const prepared = await preparedOf(
    exit({ n: 1, t_us: 10, guest_us: 10 }),
    { ...exit({ n: 1, t_us: 11 }), cpu: 1 },
    exit({ n: 2, t_us: 110, guest_us: 30 }),
    exit({ n: 3, t_us: 120, guest_us: 10.1 }),
  );
  assertEquals([...prepared.gap], [-1, -1, 1000, 100]);
  assertEquals([...prepared.vmm], [-1, -1, 700, 0], "rounding makes no time negative");
  const { between, inGuest } = aggregate(
    prepared,
    everyRow(prepared.rows),
    wholeRange(prepared.rows),
    1,
  );
  assertEquals([between.count, between.least, between.most, between.sum], [2, 100, 1000, 1100]);
  assertEquals([between.bins[20], between.bins[30]], [1, 1], "ten bins a decade");
  assertEquals(inGuest.count, 3);
});

Deno.test("quantiles are as exact as the bins, and within what was measured", async () => {
  const exits = Array.from({ length: 1001 }, (_, i) => exit({ n: i + 1, t_us: i * i }));
  const prepared = await preparedOf(...exits);
  const { between } = aggregate(prepared, everyRow(prepared.rows), wholeRange(prepared.rows), 1);
  for (const part of [0.1, 0.5, 0.9, 0.99]) {
    const exact = (2 * 1000 * part - 1) * 10;
    const found = quantile(between, part);
    assert(found > exact * 0.79 && found < exact * 1.26, `${part}: ${found}, not ${exact}`);
  }
  assertEquals(quantile(between, 1), between.most);
});

Deno.test("memory is slots, holes, gaps and what was touched outside", async () => {
  const { rows, begin } = await traceOf(
    BEGIN,
    mmio(1, 1, "0xfee00000"),
    mmio(2, 2, "0xfee00f00"),
    mmio(3, 3, "0xd0000000"),
    fault(4, 4, "0x300008"),
  );
  const regions = regionsOf(begin, rows);
  const shown = regions.map(({ start, end, kind }) => [start.toString(16), end.toString(16), kind]);
  assertEquals(shown, [
    ["0", "300000", "ram"],
    ["300000", "301000", "hole"],
    ["301000", "c0000000", "ram"],
    ["c0000000", "d0000000", "gap"],
    ["d0000000", "d0001000", "mmio"],
    ["d0001000", "fee00000", "gap"],
    ["fee00000", "fee01000", "mmio"],
    ["fee01000", "100000000", "gap"],
    ["100000000", "180000000", "ram"],
  ]);
});

Deno.test("without a begin record, and at the very end of 64 bits, memory is what was touched", async () => {
  const { rows, begin } = await traceOf(mmio(1, 1, "0xfffffffffffffff8"), fault(2, 2, "0x0"));
  const kinds = regionsOf(begin, rows).map(({ kind }) => kind);
  assertEquals(kinds, ["fault", "gap", "mmio"]);
});

Deno.test("a guest that touches memory everywhere has a map of bounded length", async () => {
  const exits = Array.from(
    { length: 3000 },
    (_, i) => mmio(i + 1, i, `0x${(i * 2 ** 32).toString(16)}`),
  );
  const { rows } = await traceOf(...exits);
  assert(regionsOf(undefined, rows).length <= 128);
});

Deno.test("regions count their accesses and know where they were", async () => {
  const prepared = await preparedOf(BEGIN, fault(1, 1, "0x300800"), mmio(2, 2, "0xfee00000"));
  const { regions } = aggregate(prepared, everyRow(prepared.rows), wholeRange(prepared.rows), 1);
  const hole = regions[prepared.regions.findIndex(({ kind }) => kind === "hole")]!;
  assertEquals(hole, { mmio: 0, faults: 1, faultMarks: [128], mmioMarks: [] });
  assertEquals(regions.reduce((sum, { mmio }) => sum + mmio, 0), 1);
});

Deno.test("rows are found by their time", async () => {
  const { rows } = await preparedOf(...[1, 2, 2, 8].map((t, i) => exit({ n: i + 1, t_us: t })));
  assertEquals([0, 20, 21, 99].map((time) => firstRowAt(rows, time)), [0, 1, 3, 4]);
  const all = everyRow(rows);
  assertEquals([0, 49, 51, 999].map((time) => nearestRow(rows, all, time)), [0, 2, 3, 3]);
  assertEquals(nearestRow(rows, new Uint32Array(), 5), undefined);
});
