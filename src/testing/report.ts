/**
 * Reports of a suite: one file for each format.
 *
 * @module
 */

import type { Summary, TestResult } from "./run_result.ts";

/** Writes a report, piece by piece. */
export interface Reporter {
  /** What comes first. @param count how many results will follow */
  begin(count: number): string;
  /** One result; they come in the order of the files. */
  result(result: TestResult): string;
  /** What comes last. */
  end(summary: Summary): string;
}
