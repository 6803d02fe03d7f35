/**
 * The difference of two outputs, in lines: where it begins, and as much of it as can be read. Time
 * and size are bounded, however large the outputs are and however they differ.
 *
 * @module
 */

import { decodeLosslessly, visible } from "./visible.ts";

/** Lines of a difference that are shown. */
const SHOWN_LINES = 60;
/** Characters of a line that are shown. */
const SHOWN_CHARACTERS = 200;
/** Characters that are shown before the first difference of long lines. */
const LEAD = 40;
/** Lines around a change that are shown. */
const CONTEXT = 3;
/** How much is compared, from the first difference on. */
const WINDOW_LINES = 200;
const WINDOW_BYTES = 64 << 10;

const NEWLINE = 0x0a;

/**
 * Shows how an output differs from what was expected, as a unified diff.
 *
 * @returns nothing visible is lost: control characters and trailing blanks are shown
 *
 * @example
 * ```ts
 * import { difference } from "./difference.ts";
 * const bytes = (text: string) => new TextEncoder().encode(text);
 * const lines = (await difference(bytes("one\n"), bytes("one\r\n"))).split("\n");
 * console.log(lines.slice(3)); // ["-one", "+one␍"]
 * ```
 */
export async function difference(expected: Uint8Array, actual: Uint8Array): Promise<string> {
  const start = windowStart(expected, firstDifference(expected, actual));
  const line = countLines(expected.subarray(0, start));
  const [before, after] = [windowOf(expected, start), windowOf(actual, start)];
  const { structuredPatch } = await import("diff");
  const { hunks } = structuredPatch("", "", before.text, after.text, "", "", { context: CONTEXT });
  const isCut = before.isCut || after.isCut;
  if (isCut) dropEdge(hunks.at(-1)?.lines ?? []);
  const lines = ["--- expected", "+++ actual"];
  let left = SHOWN_LINES - lines.length;
  let hidden = 0;
  for (const { oldStart, oldLines, newStart, newLines, lines: changes } of hunks) {
    const head = `@@ -${range(oldStart + line, oldLines)} +${range(newStart + line, newLines)} @@`;
    const shown = left > 1 ? excerpt(changes, left - 1) : [];
    if (shown.length > 0) lines.push(head, ...shown);
    left -= shown.length + 1;
    hidden += changes.length - shown.length;
  }
  if (hidden > 0) lines.push(`... ${isCut ? "at least " : ""}${hidden} more lines`);
  else if (isCut) lines.push("... and maybe more");
  return lines.join("\n");
}

/** A range of lines as unified diffs have it: an empty one begins after the line that it names. */
function range(start: number, count: number): string {
  return `${count === 0 ? start - 1 : start},${count}`;
}

/** Where two outputs begin to differ. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/** The beginning of the line that a place is in, or of one a little before. */
function windowStart(bytes: Uint8Array, at: number): number {
  const least = Math.max(0, at - (WINDOW_BYTES >> 1));
  let start = at;
  for (let lines = 0; start > least; start--) {
    if (bytes[start - 1] === NEWLINE && ++lines > CONTEXT) break;
  }
  return start;
}

function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === NEWLINE) count++;
  return count;
}

function windowOf(bytes: Uint8Array, start: number): { text: string; isCut: boolean } {
  const most = Math.min(bytes.length, start + WINDOW_BYTES);
  let end = start;
  for (let lines = 0; end < most && lines < WINDOW_LINES; end++) {
    if (bytes[end] === NEWLINE) lines++;
  }
  return { text: decodeLosslessly(bytes.subarray(start, end)), isCut: end < bytes.length };
}

/** Removes changes that are there only since the window ends, unless all is changed. */
function dropEdge(lines: string[]): void {
  const end = lines.findLastIndex((line) => line.startsWith(" ")) + 1;
  if (end > CONTEXT) lines.length = end;
}

/** The first lines of a hunk. If the changes have more, both sides of them are shown. */
function excerpt(lines: readonly string[], most: number): string[] {
  const shown: string[] = [];
  for (let i = 0; i < lines.length && shown.length < most;) {
    if (lines[i]!.startsWith(" ")) {
      shown.push(" " + clipped(lines[i++]!.slice(1), 0));
      continue;
    }
    const end = (from: number, sign: string): number => {
      let at = from;
      while (at < lines.length && /^[-+\\]/.test(lines[at]!) && lines[at]![0] !== sign) at++;
      return at;
    };
    const [middle, next] = [end(i, "+"), end(end(i, "+"), "-")];
    const [removed, added] = [lines.slice(i, middle), lines.slice(middle, next)];
    const room = most - shown.length;
    const forRemoved = Math.min(removed.length, Math.max(room >> 1, room - added.length));
    const forAdded = Math.min(added.length, room - forRemoved);
    shown.push(
      ...removed.slice(0, forRemoved).map((line, k) => change(line, added[k])),
      ...added.slice(0, forAdded).map((line, k) => change(line, removed[k])),
    );
    if (forRemoved < removed.length || forAdded < added.length) break;
    i = next;
  }
  return shown;
}

/** A changed line; of a long one the part in which it differs from the other. */
function change(line: string, other = ""): string {
  if (line.startsWith("\\")) return line;
  return line[0] + clipped(line.slice(1), commonLength(line, other));
}

function commonLength(a: string, b: string): number {
  let at = 1;
  while (at < a.length && a[at] === b[at]) at++;
  return at - 1;
}

function clipped(line: string, from: number): string {
  if (line.length <= SHOWN_CHARACTERS) return visible(line);
  const start = from + LEAD < SHOWN_CHARACTERS ? 0 : from - LEAD;
  const end = start + SHOWN_CHARACTERS;
  return (start > 0 ? "…" : "") + visible(line.slice(start, end)) +
    (end < line.length ? `… (${line.length} characters)` : "");
}
