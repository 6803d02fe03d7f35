/**
 * Tests, results and options of the smoke tests' own parts.
 *
 * @module
 */

import {
  type ProcessResult,
  type ProcessSummary,
  summarizeProcess,
  type TestResult,
} from "../../src/testing/run_result.ts";
import type { RunDialect, TestCase } from "../../src/testing/test_case.ts";
import { HALT } from "./trace_records.ts";

/** A command line with one option of each type. */
export const DIALECT: RunDialect = {
  options: [
    { name: "memory", value: "SIZE", help: "guest RAM" },
    { name: "cpus", value: "N", help: "vCPUs" },
    { name: "append", value: "STRING", help: "kernel command line" },
    { name: "initrd", value: "FILE", repeat: true, help: "a file for the kernel" },
    { name: "decompress", help: "unpack" },
    { name: "trace", value: "SPEC", help: "exits" },
    { name: "quiet", help: "no exits" },
    { name: "format", value: "FORMAT", help: "text or json" },
    { name: "trace-file", value: "FILE", help: "the trace" },
    { name: "timeout", value: "DURATION", help: "the end" },
    { name: "help", help: "help" },
  ],
  duration(text) {
    const [, number, unit] = /^([\d.]+)(ms|s)$/.exec(text) ?? [];
    if (number === undefined) throw new Error("no duration");
    return Number(number) * (unit === "s" ? 1000 : 1);
  },
  problem(options) {
    const isWrong = options.some((option) => option.startsWith("--memory=bad"));
    return Promise.resolve(isWrong ? { option: "memory", message: "bad" } : undefined);
  },
};

/** A test that expects a good end. */
export function testCase(more: Partial<TestCase> = {}): TestCase {
  return {
    name: "a test",
    file: "dir/a.toml",
    line: 3,
    folder: "/dir",
    image: "guest.elf",
    options: [],
    ownTrace: false,
    timeoutMs: 1000,
    maxOutputBytes: 9,
    tags: [],
    retry: 0,
    skipIf: [],
    onlyIf: [],
    judge: { by: "expectations", expect: { exit: 0, exits: [] } },
    untranslated: [],
    ...more,
  };
}

/** A process that halted after writing a text. */
export function processResult(stdout = "", more: Partial<ProcessResult> = {}): ProcessResult {
  return {
    code: 0,
    signal: null,
    stdout: new TextEncoder().encode(stdout),
    stderr: "",
    outcome: HALT,
    durationMs: 12,
    ...more,
  };
}

/** The same as a failed test's report has it. */
export function processSummary(stdout = "", more: Partial<ProcessResult> = {}): ProcessSummary {
  return summarizeProcess(processResult(stdout, more), "failed");
}

/** A test that passed. */
export function testResult(more: Partial<TestResult> = {}): TestResult {
  return {
    test: testCase(),
    status: "passed",
    run: 1,
    runs: 1,
    attempts: 1,
    durationMs: 12,
    failures: [],
    guestReports: [],
    command: "(cd /dir && vmexit run guest.elf)",
    lastExits: [],
    ...more,
  };
}
