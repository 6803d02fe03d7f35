import { assert, assertEquals } from "@std/assert";
import { perfettoEvents, perfettoJson, type TraceEvent } from "../../src/report/perfetto.ts";
import { BEGIN, exit, out, OUTCOME, traceOf } from "./trace_lines.ts";

const RECORDS = [
  BEGIN,
  { ...out(1, 10, 0x3f8, "48"), guest_us: 10 },
  { ...out(2, 30.5, 0x3f8, "690a"), guest_us: 15 },
  exit({ n: 3, t_us: 100, guest_us: 60, rip: "0xffffffffffffffff" }),
  OUTCOME,
];

async function events(...records: Record<string, unknown>[]): Promise<TraceEvent[]> {
  return [...perfettoEvents(await traceOf(...records))];
}

Deno.test("every exit is an instant on its vCPU, at its microsecond, with what it was", async () => {
  const instants = (await events(...RECORDS)).filter(({ ph, tid }) => ph === "i" && tid === 1);
  assertEquals(instants.map(({ ts }) => ts), [10, 30.5, 100]);
  assertEquals(instants[0], {
    name: "IO out 0x3f8 COM1",
    ph: "i",
    pid: 1,
    tid: 1,
    ts: 10,
    cat: "IO",
    s: "t",
    args: {
      n: 1,
      address: "0x3f8 COM1",
      access: "out 1",
      data: "48 'H'",
      device: "uart0",
      rip: "0x1000",
    },
  });
  assertEquals(instants[2]?.args?.rip, "0xffffffffffffffff");
});

Deno.test("vmexit's time behind an exit is a slice, where it was measured", async () => {
  const slices = (await events(...RECORDS)).filter(({ ph }) => ph === "X");
  assertEquals(slices.map(({ ts, dur }) => [ts, dur]), [[10, 5.5], [30.5, 9.5]]);
  const unmeasured = RECORDS.map((record) => ({ ...record, guest_us: undefined }));
  assertEquals((await events(...unmeasured)).filter(({ ph }) => ph === "X"), []);
});

Deno.test("where --trace left exits out, no slice pretends to be vmexit's", async () => {
  const [begin, first, , last] = RECORDS;
  const slices = (await events(begin!, first!, last!)).filter(({ ph }) => ph === "X");
  assertEquals(slices, []);
});

Deno.test("threads have names, and console lines a thread of their own", async () => {
  const all = await events(...RECORDS);
  const names = all.filter(({ name }) => name === "thread_name").map(({ tid, args }) => [
    tid,
    args?.name,
  ]);
  assertEquals(names.map(([, name]) => name), ["vCPU 0", "console uart0"]);
  const line = all.find(({ cat }) => cat === "console");
  assertEquals([line?.name, line?.ts, line?.tid], ["Hi", 10, names[1]?.[0]]);
});

Deno.test("counters have every exit in one bin", async () => {
  const counters = (await events(...RECORDS)).filter(({ ph }) => ph === "C");
  const sum = counters.reduce((sum, { args }) => sum + Number(args?.IO) + Number(args?.HLT), 0);
  assertEquals(sum, 3);
});

Deno.test("the document is JSON in the object format, whatever the trace", async () => {
  for (const records of [RECORDS, [BEGIN], []]) {
    const text = [...perfettoJson(await traceOf(...records), "1.2.3")].join("");
    const { traceEvents, displayTimeUnit } = JSON.parse(text) as {
      traceEvents: TraceEvent[];
      displayTimeUnit: string;
    };
    assert(["ms", "ns"].includes(displayTimeUnit));
    for (const { ph, name, pid, tid, ts, dur } of traceEvents) {
      assert(name !== "" && Number.isInteger(pid) && Number.isInteger(tid));
      assert(ph === "M" || Number.isFinite(ts));
      assert(ph !== "X" || dur! >= 0);
    }
  }
});
