/**
 * Lines of a shell and the words that they are made of.
 *
 * @module
 */

import { join, split } from "shlex";

/**
 * The words of a line, as a shell splits it.
 *
 * @example
 * ```ts
 * import { words } from "./shell.ts";
 * console.log(words("a 'b c'")); // ["a", "b c"]
 * ```
 */
export function words(line: string): string[] {
  try {
    return split(line);
  } catch {
    // A quote without its end.
    return line.split(/\s+/).filter(Boolean);
  }
}

/** A line that a shell splits into these words. */
export function commandLine(args: readonly string[]): string {
  return join([...args]);
}
