/**
 * Judges a finished process by the expectations of its test.
 *
 * @module
 */

import type { ExitWatch } from "./exit_rule.ts";
import { judgeUnitTest } from "./kvm_unit_tests.ts";
import { outputFailures } from "./output_check.ts";
import { type Failure, lastWords, type ProcessResult, type Verdict } from "./run_result.ts";
import type { Expectations, TestCase } from "./test_case.ts";

/** The results of a finished process. */
export interface Evidence {
  readonly process: ProcessResult;
  /** The watches of the test's rules for exits, in their order. */
  readonly watches: readonly ExitWatch[];
  /** The golden file's content, if there is one. */
  readonly golden?: Uint8Array<ArrayBuffer>;
}

/** Judges a test. */
export async function judge(test: TestCase, evidence: Evidence): Promise<Verdict> {
  const { process } = evidence;
  if (process.killed === "output") {
    return failed({
      what: "output",
      expected: `at most ${test.maxOutputBytes} bytes`,
      actual: "more; the guest was ended",
    });
  }
  if (process.killed === "time") {
    return failed({
      what: "time",
      expected: `an end within its limit of ${test.timeoutMs} ms`,
      actual: `none after ${Math.round(process.durationMs)} ms; the process was killed`,
    });
  }
  if (test.judge.by === "kvm-unit-tests") return judgeUnitTest(test, process);
  const failures = await expectationFailures(test, test.judge.expect, evidence);
  return { status: failures.length === 0 ? "passed" : "failed", failures, guestReports: [] };
}

function failed(failure: Failure): Verdict {
  return { status: "failed", failures: [failure], guestReports: [] };
}

async function expectationFailures(
  { ownTrace, timeoutMs }: TestCase,
  expect: Expectations,
  { process, watches, golden }: Evidence,
): Promise<Failure[]> {
  const { outcome, code } = process;
  const failures: Failure[] = [];
  const end = outcome ? `${outcome.kind}: ${outcome.message}` : lastWords(process);
  const actualKind = outcome?.kind;
  if (typeof expect.exit === "number" ? code !== expect.exit : actualKind !== expect.exit) {
    failures.push({
      what: "exit",
      expected: String(expect.exit),
      actual: `${code}${end === "" ? "" : ` (${end})`}`,
    });
  }
  if (expect.stdout) {
    failures.push(...await outputFailures(process.stdout, expect.stdout, golden, timeoutMs));
  }
  if (ownTrace) return failures;
  if (!outcome) {
    // The exit code says that no guest ran; that may be what is expected.
    const blind = expect.exits.length > 0 || expect.fault || expect.withinMs !== undefined ||
      expect.maxExits !== undefined;
    if (blind && failures.length === 0) {
      failures.push({ what: "run", expected: "a guest that ran", actual: end });
    }
    return failures;
  }
  for (const watch of watches) {
    const failure = watch.failure(outcome.by_reason);
    if (failure) failures.push(failure);
  }
  const { fault, withinMs, maxExits } = expect;
  const found = outcome.kind === "memory_fault" ? outcome : undefined;
  if (fault?.gpa !== undefined && BigInt(found?.gpa ?? -1) !== fault.gpa) {
    failures.push({
      what: "fault gpa",
      expected: `0x${fault.gpa.toString(16)}`,
      actual: found?.gpa ?? "none",
    });
  }
  if (fault?.access !== undefined && found?.access !== fault.access) {
    failures.push({
      what: "fault access",
      expected: fault.access,
      actual: found?.access ?? "none",
    });
  }
  if (withinMs !== undefined && outcome.t_us > withinMs * 1000) {
    failures.push({
      what: "within",
      expected: `at most ${withinMs} ms`,
      actual: `${(outcome.t_us / 1000).toFixed(1)} ms`,
    });
  }
  if (maxExits !== undefined && outcome.exits > maxExits) {
    failures.push({
      what: "max_exits",
      expected: `at most ${maxExits}`,
      actual: String(outcome.exits),
    });
  }
  return failures;
}
