/**
 * Limits of TOML that anyone may have written: a parser that recurses is only given what it can
 * take.
 *
 * @module
 */

import { type Position, TestFileError } from "./position.ts";

/** Characters of a file. */
const MAX_UNITS = 8 << 20;
/** Arrays and tables within one another, and parts of a dotted key. */
const MAX_DEPTH = 64;

/**
 * Sees that a text is neither too large nor nested too deeply.
 *
 * @param path what errors call it
 * @throws {TestFileError}
 *
 * @example
 * ```ts
 * import { checkLimits } from "./toml_limits.ts";
 * checkLimits("a.toml", "a = [[1, 2], [3]]"); // two levels are fine
 * ```
 */
export function checkLimits(path: string, text: string): void {
  const refuse = (at: Position, message: string): never => {
    throw new TestFileError([{ path, at, message }]);
  };
  if (text.length > MAX_UNITS) {
    refuse({ line: 1, column: 1 }, `a test file has at most ${MAX_UNITS >> 20} MiB`);
  }
  let line = 1;
  let lineStart = 0;
  let depth = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case "\n":
        line++;
        lineStart = i + 1;
        dots = 0;
        break;
      case "#":
        i = endOf(text, "\n", i) - 2;
        break;
      case '"':
      case "'": {
        const end = endOfString(text, i);
        for (let at = text.indexOf("\n", i); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) {
          line++;
          lineStart = at + 1;
        }
        i = end - 1;
        break;
      }
      case "[":
      case "{":
        depth++;
        dots = 0;
        break;
      case "]":
      case "}":
        depth--;
        break;
      case ".":
        dots++;
        break;
      case "=":
      case ",":
        dots = 0;
    }
    if (depth > MAX_DEPTH || dots >= MAX_DEPTH) {
      refuse({ line, column: i - lineStart + 1 }, `nested more than ${MAX_DEPTH} levels deep`);
    }
  }
}

/** Where a text continues after its next `what`. */
function endOf(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? text.length + 1 : at + what.length;
}

/** Where a text continues after the string that begins here; a string may lack its end. */
function endOfString(text: string, start: number): number {
  const quote = text[start]!;
  const isLong = text.startsWith(quote.repeat(3), start);
  const end = isLong ? quote.repeat(3) : quote;
  for (let i = start + end.length; i < text.length; i++) {
    if (text[i] === "\\" && quote === '"') i++;
    else if (text[i] === "\n" && !isLong) return i;
    else if (text.startsWith(end, i)) return i + end.length;
  }
  return text.length;
}
