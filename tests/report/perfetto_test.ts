import { assert, assertEquals, assertThrows } from "@std/assert";
import { perfettoEvents, perfettoJson, type TraceEvent } from "../../src/report/perfetto.ts";
import { checkTraceEvents } from "../lib/trace_event_format.ts";
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

Deno.test("threads have names, and console lines have a separate thread", async () => {
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

Deno.test("the document is in the Trace Event Format, whatever the trace", async () => {
  const others = [
    { ...BEGIN, image: 'a "guest"\n' },
    { ...out(1, 10, 0x3f8, "001b5b306d0a"), cpu: 3, guest_us: 1 },
    { ...out(2, 10, 0x3f8, "ff"), guest_us: 10 },
    // Less than the time in the guest, as it is rounded.
    { ...out(3, 12.3, 0x402, "0a"), cpu: 3, guest_us: 2.4 },
    exit({ n: 4, t_us: 12.4, cpu: 3 }),
    { type: "warning", v: 1, message: "beware" },
    { ...OUTCOME, kind: "timeout", message: "timeout" },
  ];
  for (const records of [RECORDS, others, [BEGIN], []]) {
    checkTraceEvents([...perfettoJson(await traceOf(...records), "1.2.3")].join(""));
  }
});

Deno.test("the format's rules are held against documents", async () => {
  const good = [...perfettoJson(await traceOf(...RECORDS), "1.2.3")].join("");
  const count = (text: string): number => checkTraceEvents(text).length;
  assert(count(good) > RECORDS.length);
  for (
    const [from, to] of [
      ['"displayTimeUnit":"ns"', '"displayTimeUnit":"us"'],
      ['"ph":"X"', '"ph":"Y"'],
      ['"dur":5.5', '"duration":5.5'],
      ['"dur":5.5', '"dur":"5.5"'],
      ['"dur":5.5', '"dur":25.5'],
      ['"ts":10,', '"ts":-10,'],
      ['"s":"t"', '"s":"thread"'],
      ['"tid":1,"args":{"name":"vCPU 0"}', '"tid":9,"args":{"name":"vCPU 0"}'],
      ['"pid":1,"tid":1', '"pid":"1","tid":1'],
      ['"HLT":0', '"HLT":"none"'],
    ] as const
  ) {
    assert(good.includes(from), from);
    assertThrows(() => count(good.replace(from, to)), Error, undefined, to);
  }
});
