/**
 * The progress line on a terminal.
 *
 * @module
 */

import type { TestRun } from "./run_test.ts";
import type { TestResult } from "./run_result.ts";
import { visible } from "./visible.ts";

/** Returns to the start of the line and clears it. */
const CLEAR = "\r\x1b[K";

/** A line that is redrawn as tests start and finish. */
export class ProgressLine {
  readonly #total: number;
  readonly #columns: () => number;
  readonly #running: TestRun[] = [];
  #done = 0;
  #failed = 0;

  /**
   * @param total how many tests there are
   * @param columns how wide the terminal is now
   */
  constructor(total: number, columns: () => number) {
    this.#total = total;
    this.#columns = columns;
  }

  started(item: TestRun): void {
    this.#running.push(item);
  }

  finished({ test, run, status }: TestResult): void {
    this.#done++;
    if (status === "failed") this.#failed++;
    const at = this.#running.findIndex((item) => item.test === test && item.run === run);
    if (at >= 0) this.#running.splice(at, 1);
  }

  /** The escape sequence and text that redraw the line. */
  draw(): string {
    const failed = this.#failed === 0 ? "" : `, ${this.#failed} failed`;
    const names = this.#running.map(({ test }) => visible(test.name)).join(", ");
    const text = `[${this.#done}/${this.#total}${failed}] ${names}`;
    // Some terminals wrap after the last column.
    return CLEAR + text.slice(0, Math.max(0, this.#columns() - 1));
  }

  /** Clears the line. */
  static readonly clear: string = CLEAR;
}
