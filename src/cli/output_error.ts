/**
 * Output that cannot be written.
 *
 * @module
 */

/** Stdout, stderr or the trace file refuses what is written: exit code 10. */
export class OutputError extends Error {
  override readonly name = "OutputError";

  /** @param problem where to and why not: `standard output: No space left on device` */
  constructor(problem: string) {
    super(`cannot write ${problem}`);
  }
}
