/**
 * The interface of the report formats; each format has its own file.
 *
 * @module
 */

import type { Summary, TestResult } from "./run_result.ts";

/** Writes a report piece by piece. */
export interface Reporter {
  /** The head. @param count how many results will follow */
  begin(count: number): string;
  /** One result, in the order of the files. */
  result(result: TestResult): string;
  /** The end. */
  end(summary: Summary): string;
}
