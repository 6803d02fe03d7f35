import { assertEquals } from "@std/assert";
import {
  type ExitPattern,
  type ExitRule,
  ExitWatch,
  isInSummary,
  matches,
  reasonsOf,
} from "../../src/testing/exit_rule.ts";
import type { ExitRecord } from "../../src/trace/records.ts";
import { exitRecord } from "../lib/trace_records.ts";

const OUT = exitRecord({ reason: "IO", io: { direction: "out", port: 0x3f8 } });
const IN = exitRecord({ reason: "IO", io: { direction: "in", port: 0x60 } });
const LOAD = exitRecord({ reason: "MMIO", mmio: { direction: "read", gpa: "0xfee00020" } });
const HLT = exitRecord({ reason: "HLT" });

function failure(rule: ExitRule, exits: readonly ExitRecord[], byReason = {}) {
  const watch = new ExitWatch(rule);
  exits.forEach((exit) => watch.see(exit));
  return watch.failure(byReason);
}

Deno.test("a pattern fits when all that it says does", () => {
  const fitting = (pattern: ExitPattern) =>
    [OUT, IN, LOAD, HLT].filter((exit) => matches(pattern, exit));
  assertEquals(fitting({}), [OUT, IN, LOAD, HLT]);
  assertEquals(fitting({ reason: "IO" }), [OUT, IN]);
  assertEquals(fitting({ ports: [0x3f8n, 0x3ffn] }), [OUT]);
  assertEquals(fitting({ direction: "in" }), [IN]);
  assertEquals(fitting({ gpas: [0xfee00000n, 0xfee00fffn] }), [LOAD]);
  assertEquals(fitting({ reason: "IO", gpas: [0n, 0xfee00fffn] }), []);
});

Deno.test("counts have bounds, and say what they were", () => {
  const rule = (min: number, max: number): ExitRule => ({
    kind: "count",
    pattern: { reason: "IO", ports: [0x3f8n, 0x3f8n] },
    bounds: { min, max },
  });
  assertEquals(failure(rule(2, 2), [OUT, IN, OUT]), undefined);
  assertEquals(failure(rule(3, Infinity), [OUT, IN, OUT]), {
    what: "exits IO port=0x3f8",
    expected: "at least 3",
    actual: "2",
  });
  assertEquals(failure(rule(0, 1), [OUT, OUT])?.expected, "at most 1");
  assertEquals(failure(rule(3, 5), [OUT, OUT])?.expected, "3 to 5");
});

Deno.test("a count of a reason alone comes from the summary, but for what faults come as", () => {
  const rule = (reason: string): ExitRule => ({
    kind: "count",
    pattern: { reason },
    bounds: { min: 7, max: 7 },
  });
  assertEquals(isInSummary(rule("IO")), true);
  assertEquals(failure(rule("IO"), [OUT], { IO: 7 }), undefined);
  assertEquals(failure(rule("HLT"), [HLT], {})?.actual, "0");
  assertEquals(isInSummary(rule("MMIO")), false);
  assertEquals(failure(rule("MMIO"), [LOAD], { MMIO: 7 })?.actual, "1");
});

Deno.test("a sequence lets others lie between, in this order", () => {
  const rule: ExitRule = {
    kind: "sequence",
    consecutive: false,
    steps: [{ direction: "out" }, { reason: "MMIO" }, { reason: "HLT" }],
  };
  assertEquals(failure(rule, [OUT, IN, LOAD, OUT, HLT]), undefined);
  assertEquals(failure(rule, [LOAD, OUT, HLT]), {
    what: "sequence of exits",
    expected: "any out, MMIO, HLT",
    actual: "any out, and then no MMIO",
  });
});

Deno.test("consecutive exits lie side by side, wherever they begin", () => {
  const rule: ExitRule = {
    kind: "sequence",
    consecutive: true,
    steps: [{ direction: "out" }, { direction: "out" }, { reason: "HLT" }],
  };
  assertEquals(failure(rule, [OUT, OUT, OUT, HLT, IN]), undefined);
  assertEquals(failure(rule, [OUT, OUT, IN, HLT])?.actual, "any out, any out, and then no HLT");
});

Deno.test("only the reasons that a rule looks at need be traced", () => {
  const steps = [{ reason: "HLT" }, { ports: [1n, 1n] as const }];
  assertEquals(reasonsOf({ kind: "sequence", consecutive: false, steps }), ["HLT", "IO"]);
  assertEquals(reasonsOf({ kind: "sequence", consecutive: true, steps }), undefined);
  const bounds = { min: 1, max: 1 };
  assertEquals(reasonsOf({ kind: "count", pattern: { gpas: [0n, 1n] }, bounds }), undefined);
});
