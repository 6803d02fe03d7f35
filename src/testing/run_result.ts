/**
 * Results of tests, and of the processes that ran them.
 *
 * @module
 */

import type { OutcomeRecord } from "../trace/records.ts";
import type { TestCase } from "./test_case.ts";

/** A process that ran a guest. */
export interface ProcessResult {
  /** Its exit code. */
  readonly code: number;
  /** The signal that ended it, if one did. */
  readonly signal: string | null;
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** The end of stderr. */
  readonly stderr: string;
  readonly outcome: OutcomeRecord | undefined;
  /** Why the runner ended it, if it did. */
  readonly killed?: "output" | "time" | "stop";
  /** Milliseconds of wall time. */
  readonly durationMs: number;
}

/** How much of the end of an output a report has. */
const KEPT_CHARACTERS = 16_384;

/** What reports need of a process. */
export interface ProcessSummary {
  readonly code: number;
  readonly outcome: OutcomeRecord | undefined;
  /** The ends of stdout and stderr, where the test failed. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Summarizes a process. What passed tests wrote is not kept: there may be many of them. */
export function summarizeProcess(
  { code, outcome, stdout, stderr }: ProcessResult,
  status: TestResult["status"],
): ProcessSummary {
  if (status !== "failed") return { code, outcome, stdout: "", stderr: "" };
  // A character has at most four bytes; what is cut at the front is the first one.
  const end = new TextDecoder().decode(stdout.subarray(-4 * KEPT_CHARACTERS));
  return {
    code,
    outcome,
    stdout: end.slice(-KEPT_CHARACTERS),
    stderr: stderr.slice(-KEPT_CHARACTERS),
  };
}

/** The last line of a process without an outcome, or how it ended. */
export function lastWords({ stderr, signal }: ProcessResult): string {
  const line = stderr.trimEnd().split("\n").at(-1) ?? "";
  return line === "" && signal !== null ? `ended by ${signal}` : line.replace(/^vmexit: /, "");
}

/** An expectation that was not met. */
export interface Failure {
  /** Which: `exit`, `stdout contains`. */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
  /** The difference of two texts, line by line. */
  readonly diff?: string;
}

/** A guest's own verdict: a `PASS: ...` line of the x86 KVM unit tests. */
export interface GuestReport {
  readonly status: "pass" | "fail" | "skip";
  readonly text: string;
}

/** A verdict on a process. */
export interface Verdict {
  readonly status: "passed" | "failed" | "skipped";
  /** Why it was skipped. */
  readonly reason?: string;
  readonly failures: readonly Failure[];
  readonly guestReports: readonly GuestReport[];
}

/** The result of a test, for reports. */
export interface TestResult extends Omit<Verdict, "status"> {
  readonly test: TestCase;
  /** `not_run` when the suite ended early. */
  readonly status: Verdict["status"] | "not_run";
  /** Which of how many runs, from 1. */
  readonly run: number;
  readonly runs: number;
  /** How often it was started: more than once where failures were retried. */
  readonly attempts: number;
  /** Milliseconds of the last attempt. */
  readonly durationMs: number;
  readonly process?: ProcessSummary;
  /** A shell command that repeats the run. */
  readonly command: string;
  /** The last exits before the end, as text. */
  readonly lastExits: readonly string[];
  /** The folder with the artefacts of a failed test. */
  readonly artefacts?: string;
  /** Why there are none. */
  readonly artefactsProblem?: string;
  /** A golden file that was written. */
  readonly updated?: string;
}

/** A result's name: the test's, and which run it was. */
export function resultName({ test, run, runs }: TestResult): string {
  return runs === 1 ? test.name : `${test.name} (run ${run} of ${runs})`;
}

/** A whole suite in numbers. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly notRun: number;
  /** Passed, but only after a retry. */
  readonly flaky: number;
  /** Milliseconds of wall time. */
  readonly durationMs: number;
  /** Each test that ran several times. */
  readonly statistics: readonly RepeatStatistics[];
}

/** A test that ran several times. */
export interface RepeatStatistics {
  readonly name: string;
  readonly file: string;
  readonly runs: number;
  readonly failed: number;
  /** Milliseconds. */
  readonly minMs: number;
  readonly medianMs: number;
  readonly maxMs: number;
}

/** Counts results. */
export function summarize(results: readonly TestResult[], durationMs: number): Summary {
  const count = (status: TestResult["status"]): number =>
    results.filter((result) => result.status === status).length;
  const groups = new Map<string, TestResult[]>();
  for (const result of results) {
    if (result.runs === 1 || !result.process) continue;
    const key = JSON.stringify([result.test.file, result.test.name]);
    groups.set(key, [...groups.get(key) ?? [], result]);
  }
  return {
    passed: count("passed"),
    failed: count("failed"),
    skipped: count("skipped"),
    notRun: count("not_run"),
    flaky: results.filter(({ status, attempts }) => status === "passed" && attempts > 1).length,
    durationMs,
    statistics: [...groups.values()].map(statisticsOf),
  };
}

function statisticsOf(results: readonly TestResult[]): RepeatStatistics {
  const times = results.map(({ durationMs }) => durationMs).sort((a, b) => a - b);
  const { test } = results[0]!;
  return {
    name: test.name,
    file: test.file,
    runs: results.length,
    failed: results.filter(({ status }) => status === "failed").length,
    minMs: times[0]!,
    medianMs: (times[(times.length - 1) >> 1]! + times[times.length >> 1]!) / 2,
    maxMs: times.at(-1)!,
  };
}
