/**
 * The conventions of the x86 KVM unit tests: their exit codes and their `PASS:` and `FAIL:` lines.
 *
 * @module
 */

import { type GuestReport, lastWords, type ProcessResult, type Verdict } from "./run_result.ts";
import type { TestCase } from "./test_case.ts";

/** Exit codes of the suite's guests: they write a status to the debug-exit port. */
export const UNIT_TEST_CODES = {
  /** Status 0. */
  pass: 1,
  /** Status 1. */
  fail: 3,
  /** Status 77 >> 1: all parts were skipped. */
  skip: 77,
  /** Status 63: the guest gave up. */
  abort: 127,
} as const;

/** The words that begin a verdict line, and what they mean. */
const WORDS: Readonly<Record<string, GuestReport["status"]>> = {
  PASS: "pass",
  FAIL: "fail",
  SKIP: "skip",
  /** An expected failure, and a known one. */
  XFAIL: "pass",
  KFAIL: "pass",
  /** An expected failure that did not happen. */
  XPASS: "fail",
  ABORT: "fail",
};

/** No guest of the suite has as many parts; one that prints more is not listed further. */
const MAX_REPORTS = 10_000;
/** Failed parts that a failure names. */
const NAMED_FAILURES = 50;

/** The verdicts that a guest printed, in order. */
export function guestReports(output: string): GuestReport[] {
  const reports: GuestReport[] = [];
  for (const [line, word, text] of output.matchAll(/^([A-Z]{4,5}): (.*?)\r?$/gm)) {
    const status = Object.hasOwn(WORDS, word!) ? WORDS[word!] : undefined;
    if (!status) continue;
    reports.push({ status, text: word === "XFAIL" || word === "KFAIL" ? line.trimEnd() : text! });
    if (reports.length === MAX_REPORTS) break;
  }
  return reports;
}

/** Judges a guest of the suite. */
export function judgeUnitTest(test: TestCase, process: ProcessResult): Verdict {
  const output = new TextDecoder().decode(process.stdout);
  const reports = guestReports(output);
  const { code } = process;
  if (code === UNIT_TEST_CODES.pass) {
    return { status: "passed", failures: [], guestReports: reports };
  }
  if (code === UNIT_TEST_CODES.skip) {
    const reason = reports.find(({ status }) => status === "skip")?.text ?? "the guest says so";
    return { status: "skipped", reason, failures: [], guestReports: reports };
  }
  const failures = reports.filter(({ status }) => status === "fail").map(({ text }) => text);
  const why = code === UNIT_TEST_CODES.fail
    ? `${failures.length} parts failed`
    : code === UNIT_TEST_CODES.abort
    ? "the guest gave up"
    : code === 124
    ? `timeout after ${test.timeoutMs} ms`
    : process.outcome?.message ?? lastWords(process);
  return {
    status: "failed",
    failures: [{
      what: "exit",
      expected: "1 (pass)",
      actual: [
        `${code} (${why})`,
        ...failures.slice(0, NAMED_FAILURES).map((text) => `FAIL: ${text}`),
        ...(failures.length > NAMED_FAILURES ? ["..."] : []),
      ].join("\n"),
    }],
    guestReports: reports,
  };
}
