/**
 * Where something stands in a test file, and what is wrong there.
 *
 * @module
 */

/** A place in a text; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Something that is wrong in a file. */
export interface Problem {
  readonly path: string;
  readonly at: Position;
  readonly message: string;
}

/** Test files that make no sense: exit code 4. */
export class TestFileError extends Error {
  override readonly name = "TestFileError";

  /** @param problems all that was found, in the order of the files */
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(problemText).join("\n"));
  }
}

/** A problem as compilers print them, so that editors find the place: `file:line:column: message`. */
export function problemText({ path, at, message }: Problem): string {
  return `${path}:${at.line}:${at.column}: ${message}`;
}

/** Problems of one file as a reader comes by them. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
}
