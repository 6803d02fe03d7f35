import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { payloadOf, readRecord, TraceError } from "../../src/trace/read.ts";
import { exitJson } from "../../src/trace/json.ts";
import { SAMPLES } from "../exits/samples.ts";
import { exitRecord, HALT, MEMORY_FAULT } from "../lib/trace_records.ts";

const CIRCUMSTANCES = { n: 1, tUs: 0.25, cpu: 0, guestUs: 0.2, handler: undefined };

for (const { name, exit, json } of SAMPLES) {
  Deno.test(`what is written of an exit is read again: ${name}`, () => {
    const text = exitJson({ ...CIRCUMSTANCES, exit });
    const record = readRecord(text);
    assertEquals(record?.type, "exit");
    if (record?.type !== "exit") return;
    assertEquals(payloadOf(record), json ?? {});
    assertEquals(JSON.parse(JSON.stringify(record)), JSON.parse(text));
  });
}

Deno.test("an outcome is read with the fields of its kind", () => {
  for (const outcome of [HALT, MEMORY_FAULT]) {
    assertEquals(readRecord(JSON.stringify(outcome)), outcome);
  }
  const { registers: _, ...rest } = MEMORY_FAULT;
  const error = assertThrows(() => readRecord(JSON.stringify(rest)), TraceError);
  assertStringIncludes(error.message, "registers is missing");
});

Deno.test("a wrong value is named with its place", () => {
  const [fetch, operand] = MEMORY_FAULT.candidates;
  const candidates = [fetch, { ...operand, gpa: "12" }];
  const error = assertThrows(() => readRecord(JSON.stringify({ ...MEMORY_FAULT, candidates })));
  assertEquals((error as Error).message, 'not a trace record: candidates[1].gpa is "12"');
});

Deno.test("fields, values, kinds and reasons of later versions are no errors", () => {
  const later = { ...HALT, kind: "frozen", mood: "cold" };
  assertEquals(readRecord(JSON.stringify(later)), { ...HALT, kind: "frozen" } as unknown);
  const io = { direction: "sideways", port: 1, size: 1, count: 1, data: "00", colour: "red" };
  const exit = readRecord(JSON.stringify(exitRecord({ reason: "IO", code: 2, io })));
  const { colour: _, ...known } = io;
  assertEquals(exit, exitRecord({ reason: "IO", code: 2, io: known }));
  const novel = exitRecord({ reason: "NOVEL", code: 99, novel: { any: ["thing"] } });
  assertEquals(readRecord(JSON.stringify(novel)), novel);
  assertEquals(readRecord('{"type":"snapshot","v":1}'), undefined);
});

Deno.test("a reason cannot take the place of a field", () => {
  const error = assertThrows(() =>
    readRecord(JSON.stringify(exitRecord({ reason: "RIP", rip: 7 })))
  );
  assertStringIncludes((error as Error).message, "rip is 7");
});

Deno.test("a long line is refused before it is parsed if it is nested too deeply", () => {
  const error = assertThrows(() => readRecord("[".repeat(16_000_000)), TraceError);
  assertEquals(error.message, "nested too deeply");
  const text = '[{\\"'.repeat(20_000);
  const warning = { type: "warning", v: 1, message: text, more: "\\" };
  assertEquals(readRecord(JSON.stringify(warning))?.type, "warning", "brackets in a string");
});

Deno.test("a value of any depth is refused without looking into it", () => {
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  for (
    const text of [
      deep,
      `{"type":"begin","v":${deep}}`,
      `{"type":"warning","v":1,"message":${deep}}`,
    ]
  ) {
    assertThrows(() => readRecord(text), TraceError);
  }
  const text = JSON.stringify(HALT).replace("}", `,"more":${deep}}`);
  assertThrows(() => readRecord(text.replace('"exits":3', `"exits":${deep}`)), TraceError);
});
