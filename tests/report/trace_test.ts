import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { dataOf } from "../../src/report/rows.ts";
import { readTrace } from "../../src/report/trace.ts";
import { TraceError } from "../../src/trace/read.ts";
import { BEGIN, exit, mmio, out, OUTCOME, streamOf, traceOf } from "./trace_lines.ts";

function written(trace: Awaited<ReturnType<typeof traceOf>>): string {
  return new TextDecoder().decode(trace.console.bytes);
}

Deno.test("a trace has its exits as columns, with 64-bit numbers whole", async () => {
  const { rows, begin, outcome, remarks } = await traceOf(
    BEGIN,
    out(1, 1.5, 0x3f8, "48"),
    mmio(2, 2, "0xfffffffffffff000"),
    exit({ n: 3, t_us: 3, guest_us: 0.4 }),
    OUTCOME,
  );
  assertEquals(rows.length, 3);
  assertEquals([...rows.n], [1, 2, 3]);
  assertEquals([...rows.time], [15, 20, 30]);
  assertEquals([...rows.guest], [0, 0, 5], "one more than the tenths, and 0 for not measured");
  assertEquals(rows.tables.reasons.map(({ name }) => name), ["IO", "MMIO", "HLT"]);
  assertEquals(rows.tables.addresses[rows.address[1]!], 0xffff_ffff_ffff_f000n);
  assertEquals(rows.tables.rips[rows.rip[1]!], 0xffff_ffff_8100_0000n);
  assertEquals(rows.rip[2], 0, "no RIP");
  assertEquals([...dataOf(rows, 1)], [255, 255, 255, 255]);
  assertEquals(begin?.slots[1]?.gpa, "0x100000000");
  assertEquals(outcome?.message, "guest halted (HLT)");
  assertEquals(remarks, []);
});

Deno.test("an empty trace is one, and says what it lacks", async () => {
  const { rows, remarks } = await traceOf();
  assertEquals(rows.length, 0);
  assertEquals(remarks.length, 2);
});

Deno.test("a last line that is cut off is dropped with a remark", async () => {
  const text = JSON.stringify(exit({})) + '\n{"type":"exit","v":1,"n"';
  const { rows, remarks } = await readTrace(streamOf(text));
  assertEquals(rows.length, 1);
  assertStringIncludes(remarks.join(), "cut off");
});

Deno.test("a last line that only lacks its newline counts", async () => {
  const { rows, remarks } = await readTrace(streamOf(JSON.stringify(exit({}))));
  assertEquals(rows.length, 1);
  assertEquals(remarks.join().includes("cut off"), false);
});

Deno.test("exits out of order are sorted by time, their data and console bytes with them", async () => {
  const trace = await traceOf(
    out(1, 5, 0x3f8, "62"),
    { ...out(2, 1, 0x3f8, "6161"), cpu: 1 },
    out(3, 9, 0x3f8, "63"),
  );
  assertEquals([...trace.rows.n], [2, 1, 3]);
  assertEquals([...dataOf(trace.rows, 0)], [0x61, 0x61]);
  assertEquals([...dataOf(trace.rows, 1)], [0x62]);
  assertEquals([...trace.console.row], [1, 0, 0, 2]);
  assertStringIncludes(trace.remarks.join(), "1 exits are earlier");
});

Deno.test("console output is what was sent, not what sets the port up", async () => {
  const trace = await traceOf(
    out(1, 1, 0x3fb, "83"), // divisor latch on
    out(2, 2, 0x3f8, "01"),
    out(3, 3, 0x3fb, "03"),
    out(4, 4, 0x3f8, "4869"), // a string of two
    out(5, 5, 0x3fc, "10"), // loopback
    out(6, 6, 0x3f8, "ae"),
    out(7, 7, 0x3fc, "03"),
    out(8, 8, 0x402, "21", "debugcon2"),
    out(9, 9, 0x3f8, "3f", "another"),
  );
  assertEquals(written(trace), "Hi!");
  assertEquals([...trace.console.row], [3, 3, 7]);
  assertEquals(trace.console.devices, ["uart0", "debugcon2"]);
});

Deno.test("a field without a column is a note", async () => {
  const fault = {
    gpa: "0x300008",
    size: "0x4",
    access: "read",
    visibility: "shared",
    errno: null,
    flags: "0x0",
    verdict: "resolved: lazy",
  };
  const { rows } = await traceOf(
    exit({ reason: "MEMORY_FAULT", code: 39, memory_fault: fault }),
    exit({ reason: "INTERNAL_ERROR", code: 17, internal_error: { suberror: 1, data: ["0x1"] } }),
    exit({ reason: "UNRECOGNIZED", code: 77, unrecognized: { raw: "00ff" } }),
  );
  assertEquals(rows.tables.notes, [
    "",
    "visibility=shared verdict=resolved: lazy",
    "suberror=1 data=0x1",
    "raw=00ff",
  ]);
  assertEquals(rows.tables.accesses[rows.access[0]!]?.direction, "read");
});

for (
  const [what, line, problem] of [
    ["no JSON", "nonsense", "not a JSON record"],
    ["a list", "[]", "not a JSON record"],
    ["text", "#1 +0.289ms cpu0 IO out port=0x3f8", "a trace in text, not in JSON"],
    ["another version", JSON.stringify({ ...exit({}), v: 2 }), "v is 2"],
    ["a time before the start", JSON.stringify(exit({ t_us: -1 })), "t_us is -1"],
    ["a time that is text", JSON.stringify(exit({ t_us: "1" })), 't_us is "1"'],
    ["no number", JSON.stringify(exit({ n: undefined })), "n is missing"],
    ["a number of no exit", JSON.stringify(exit({ n: 1.5 })), "n is 1.5"],
    ["a vCPU that no machine has", JSON.stringify(exit({ cpu: 1e9 })), "cpu is 1000000000"],
    ["a reason that is markup", JSON.stringify(exit({ reason: "<b>" })), "reason is"],
    ["more than 64 bits", JSON.stringify(exit({ rip: "0x10000000000000000" })), "rip is"],
    [
      "a port that is none",
      JSON.stringify(out(1, 1, 65536, "00")),
      "port is 65536",
    ],
    [
      "half a byte",
      JSON.stringify(
        exit({
          reason: "IO",
          code: 2,
          io: { direction: "out", port: 1, size: 1, count: 1, data: "4" },
        }),
      ),
      "data is",
    ],
    ["slots that are no list", JSON.stringify({ ...BEGIN, slots: 1 }), "slots is 1"],
    ["a second begin record", JSON.stringify(BEGIN), "a second begin"],
  ] as const
) {
  Deno.test(`a line with ${what} is refused, and named`, async () => {
    const text = `${JSON.stringify(BEGIN)}\n\n${line}\n${JSON.stringify(OUTCOME)}\n`;
    const error = await assertRejects(() => readTrace(streamOf(text)), TraceError, problem);
    assertStringIncludes(error.message, "line 3: ");
  });
}

Deno.test("records of later versions' types are ignored, with a remark", async () => {
  const { remarks } = await traceOf(BEGIN, { type: "snapshot", v: 1 }, OUTCOME);
  assertEquals(remarks, ["1 records are of an unknown type."]);
});
