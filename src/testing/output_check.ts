/**
 * Compares the output of a guest with what its test expects.
 *
 * @module
 */

import type { Failure } from "./run_result.ts";
import type { OutputExpectation } from "./test_case.ts";

/** Lines of a difference that are shown. */
const DIFF_LINES = 60;
/** Characters of a text that are shown. */
const SHOWN = 400;

/**
 * What is wrong with an output.
 *
 * @param golden the content of the golden file; `undefined` where there is none
 */
export async function outputFailures(
  bytes: Uint8Array<ArrayBuffer>,
  expect: OutputExpectation,
  golden: Uint8Array<ArrayBuffer> | undefined,
): Promise<Failure[]> {
  const text = new TextDecoder().decode(bytes);
  const failures: Failure[] = [];
  const fail = (what: string, expected: string): void => {
    failures.push({ what: `stdout ${what}`, expected, actual: shorten(text) });
  };
  if (expect.exact !== undefined && text !== expect.exact) {
    failures.push(await difference("stdout", expect.exact, text));
  }
  if (expect.golden !== undefined) {
    if (golden === undefined) {
      fail(
        "golden",
        `the content of ${expect.golden}, which does not exist yet; --update writes it`,
      );
    } else if (!sameBytes(bytes, golden)) {
      failures.push(await difference("stdout", new TextDecoder().decode(golden), text));
    }
  }
  for (const part of expect.contains) {
    if (!text.includes(part)) fail("contains", quoted(part));
  }
  for (const pattern of expect.regex) {
    if (!pattern.test(text)) fail("regex", String(pattern));
  }
  for (const part of expect.never) {
    if (text.includes(part)) fail("never", `no ${quoted(part)}`);
  }
  let from = 0;
  for (const [i, part] of expect.inOrder.entries()) {
    const at = text.indexOf(part, from);
    if (at === -1) {
      const before = i === 0 ? "" : ` after ${quoted(expect.inOrder[i - 1]!)}`;
      fail("in_order", quoted(part) + before);
      break;
    }
    from = at + part.length;
  }
  return failures;
}

/** Whether two byte strings are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

async function difference(what: string, expected: string, actual: string): Promise<Failure> {
  const { createTwoFilesPatch } = await import("diff");
  const patch = createTwoFilesPatch("expected", "actual", expected, actual, "", "", { context: 3 });
  // The first line is a ruler.
  const lines = patch.trimEnd().split("\n").slice(1);
  const left = lines.length - DIFF_LINES;
  return {
    what,
    expected: shorten(expected),
    actual: shorten(actual),
    diff: [...lines.slice(0, DIFF_LINES), ...(left > 0 ? [`... ${left} more lines`] : [])]
      .join("\n"),
  };
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A text in quotes, of which the end is shown where it is long: that is where things went wrong. */
function shorten(text: string): string {
  return text.length <= SHOWN ? quoted(text) : `...${quoted(text.slice(-SHOWN))}`;
}
