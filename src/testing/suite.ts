/**
 * Selects the tests of a suite and runs them, several at a time, reporting in order.
 *
 * @module
 */

import type { HostReport } from "../host/report.ts";
import { skipReason } from "./condition.ts";
import { runTest, type TestRun, type TestSurroundings, unrunResult } from "./run_test.ts";
import type { TestResult } from "./run_result.ts";
import type { TestCase } from "./test_case.ts";

/** Which tests are wanted. */
export interface TestSelection {
  /** Part of the name, in any case. */
  readonly filter?: string;
  /** Any of these tags; all tests where there are none. */
  readonly tags: readonly string[];
  /** The share of one machine among several: the `index`th of `count`, from 1. */
  readonly shard?: { readonly index: number; readonly count: number };
  /** How often each test is run. */
  readonly repeat: number;
}

/**
 * Selects tests. Tests are dealt to shards in turn, so that each gets its part of the slow ones.
 *
 * @example
 * ```ts
 * import { selectTests } from "./suite.ts";
 * console.log(selectTests([], { tags: [], repeat: 1 })); // []
 * ```
 */
export function selectTests(tests: readonly TestCase[], selection: TestSelection): TestRun[] {
  const { filter, tags, shard, repeat } = selection;
  const wanted = filter?.toLowerCase() ?? "";
  return tests
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .filter((test) => tags.length === 0 || test.tags.some((tag) => tags.includes(tag)))
    .filter((_, i) => !shard || i % shard.count === shard.index - 1)
    .flatMap((test) =>
      Array.from({ length: repeat }, (_, i) => ({ test, run: i + 1, runs: repeat }))
    );
}

/** Follows the progress of a suite. */
export interface SuiteObserver {
  /** A test has started. */
  started(item: TestRun): void;
  /** A test has finished, in any order. */
  finished(result: TestResult): void;
  /** The same results, in the order of the files. */
  report(result: TestResult): void;
}

/** How to run a suite. */
export interface SuiteOptions extends TestSurroundings {
  /** How many tests at a time. */
  readonly jobs: number;
  /** Whether the first failure ends it. */
  readonly failFast: boolean;
  /** Inspects the host, when a test needs it. */
  readonly host: () => HostReport;
  readonly observer: SuiteObserver;
}

/**
 * Runs tests.
 *
 * @returns the results in the order of the items
 */
export async function runSuite(
  items: readonly TestRun[],
  options: SuiteOptions,
): Promise<TestResult[]> {
  const { jobs, failFast, host, observer, program } = options;
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const around = { ...options, signal };
  const results: TestResult[] = new Array(items.length);
  // Before the first test, which would disturb the measurement.
  if (items.some(({ test }) => test.skipIf.length + test.onlyIf.length > 0)) host();
  let next = 0;
  let reported = 0;
  const finish = (index: number, result: TestResult): void => {
    results[index] = result;
    observer.finished(result);
    while (results[reported]) observer.report(results[reported++]!);
    if (failFast && result.status === "failed") failure.abort();
  };
  const runOne = async (item: TestRun): Promise<TestResult> => {
    const { test } = item;
    if (signal.aborted) return unrunResult(item, program, "not_run", "the suite was stopped");
    const reason = test.skip ?? skipReason(test, host);
    if (reason !== undefined) return unrunResult(item, program, "skipped", reason);
    observer.started(item);
    return await runTest(item, around);
  };
  const work = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      finish(index, await runOne(items[index]!));
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, work));
  return results;
}
