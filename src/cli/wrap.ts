/**
 * Wraps text for terminals.
 *
 * @module
 */

/** Lines are no longer than this. */
const COLUMNS = 80;

/**
 * Fills lines with words.
 *
 * @param first the start of the first line
 * @param indent the start of the others
 *
 * @example
 * ```ts
 * import { wrap } from "./wrap.ts";
 * console.log(wrap(["a", "word"], "  -x  ", "      ")); // ["  -x  a word"]
 * ```
 */
export function wrap(words: readonly string[], first: string, indent: string): string[] {
  const lines: string[] = [];
  let line = first;
  let fresh = true;
  for (const word of words) {
    if (!fresh && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = indent;
      fresh = true;
    }
    line += fresh ? word : " " + word;
    fresh = false;
  }
  return [...lines, line];
}
