/**
 * Splits and quotes shell command lines.
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
    // An unterminated quote.
    return line.split(/\s+/).filter(Boolean);
  }
}

/** The line that a shell splits into these words. */
export function commandLine(args: readonly string[]): string {
  return join([...args]);
}
