/**
 * Splits a byte stream of any length into lines.
 *
 * @module
 */

import { TraceError } from "../trace/read.ts";

/** One line of a text. */
export interface Line {
  /** Counts from 1. */
  readonly number: number;
  readonly text: string;
  /** Whether it ends in a newline. Only the last line may not: its writer was killed. */
  readonly whole: boolean;
}

/** A longer line is not a record, and must not fill memory. */
const MAX_LINE_UNITS = 1 << 24;

/**
 * The lines of UTF-8 text, in batches as they arrive. Empty lines are counted but skipped.
 *
 * @throws {TraceError} for a line without end
 *
 * @example
 * ```ts
 * import { linesOf } from "./lines.ts";
 * const stream = new Blob(["one\ntwo"]).stream();
 * for await (const lines of linesOf(stream)) console.log(lines.map(({ text }) => text));
 * ```
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Line[]> {
  const decoder = new TextDecoder();
  let rest = "";
  let number = 0;
  for await (const bytes of stream) {
    const pieces = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = pieces.pop()!;
    if (rest.length > MAX_LINE_UNITS) {
      throw new TraceError(`line ${number + pieces.length + 1} is longer than any record`);
    }
    const lines: Line[] = [];
    for (const text of pieces) {
      number++;
      if (text !== "") lines.push({ number, text, whole: true });
    }
    yield lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield [{ number: number + 1, text: rest, whole: false }];
}
