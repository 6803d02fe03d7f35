/**
 * Problems in test files, with file, line and column.
 *
 * @module
 */

import { visible } from "./visible.ts";

/** A place in a text, counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A problem in a file. */
export interface Problem {
  readonly path: string;
  readonly at: Position;
  readonly message: string;
}

/** More problems than this are only counted. */
const MAX_PROBLEMS = 100;

/** Test files that cannot be read. */
export class TestFileError extends Error {
  override readonly name = "TestFileError";

  /** @param problems all problems, in the order of the files */
  constructor(readonly problems: readonly Problem[]) {
    const lines = problems.slice(0, MAX_PROBLEMS).map(problemText);
    const more = problems.length - lines.length;
    super((more > 0 ? [...lines, `and ${more} more problems`] : lines).join("\n"));
  }
}

/** A problem in the form that compilers use, so that editors find the place. */
export function problemText({ path, at, message }: Problem): string {
  return `${path}:${at.line}:${at.column}: ${visible(message)}`;
}

/** The problems of one file in the order of its lines. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
}
