/**
 * Output that cannot be written.
 *
 * @module
 */

/** Stdout, stderr or a file cannot be written: exit code 10. */
export class OutputError extends Error {
  override readonly name = "OutputError";

  /** @param problem the target and the reason: `standard output: No space left on device` */
  constructor(problem: string) {
    super(`cannot write ${problem}`);
  }
}
