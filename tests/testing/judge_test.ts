import { assertEquals } from "@std/assert";
import { judge } from "../../src/testing/judge.ts";
import type { ProcessResult } from "../../src/testing/run_result.ts";
import type { Expectations } from "../../src/testing/test_case.ts";
import { processResult, testCase } from "../lib/testing.ts";
import { MEMORY_FAULT } from "../lib/trace_records.ts";

async function broken(expect: Partial<Expectations>, process: ProcessResult = processResult()) {
  const test = testCase({
    judge: { by: "expectations", expect: { exit: 0, exits: [], ...expect } },
  });
  const { status, failures } = await judge(test, { process, watches: [] });
  assertEquals(status, failures.length === 0 ? "passed" : "failed");
  return failures.map(({ what, expected, actual }) => [what, expected, actual]);
}

const FAULT = processResult("", { code: 20, outcome: MEMORY_FAULT });

Deno.test("a good end is one by code and by kind", async () => {
  assertEquals(await broken({}), []);
  assertEquals(await broken({ exit: "halt" }), []);
  assertEquals(await broken({ exit: 3 }), [["exit", "3", "0 (halt: guest halted (HLT))"]]);
  assertEquals(await broken({ exit: "reset" }), [[
    "exit",
    "reset",
    "0 (halt: guest halted (HLT))",
  ]]);
});

Deno.test("a fault is held against its address and access", async () => {
  const exit = "memory_fault";
  assertEquals(await broken({ exit, fault: { gpa: 0x3008n, access: "read" } }, FAULT), []);
  assertEquals(await broken({ exit, fault: { gpa: 0x3000n, access: "write" } }, FAULT), [
    ["fault gpa", "0x3000", "0x3008"],
    ["fault access", "write", "read"],
  ]);
  assertEquals((await broken({ fault: { gpa: 1n } })).map(([what]) => what), ["fault gpa"]);
});

Deno.test("time and exits have limits", async () => {
  assertEquals(await broken({ withinMs: 2, maxExits: 3 }), []);
  assertEquals(await broken({ withinMs: 1.5, maxExits: 2 }), [
    ["within", "at most 1.5 ms", "2.0 ms"],
    ["max_exits", "at most 2", "3"],
  ]);
});

Deno.test("a guest that did not run meets no expectation of its exits", async () => {
  const stderr = "vmexit: x.elf does not exist\n";
  const { outcome: _, ...rest } = processResult();
  const process: ProcessResult = { ...rest, code: 4, stderr, outcome: undefined };
  assertEquals(await broken({ exit: 4 }, process), []);
  assertEquals(await broken({}, process), [["exit", "0", "4 (x.elf does not exist)"]]);
  assertEquals(await broken({ exit: 4, maxExits: 1 }, process), [
    ["run", "a guest that ran", "x.elf does not exist"],
  ]);
});

Deno.test("a test that the runner had to end has failed, whatever else holds", async () => {
  const flood = await broken({}, processResult("", { killed: "output" }));
  assertEquals(flood, [["output", "at most 9 bytes", "more; the guest was ended"]]);
  const stuck = await broken({}, processResult("", { killed: "time", durationMs: 11_000 }));
  assertEquals(stuck[0]![2], "none after 11000 ms; the process was killed");
});
