/**
 * Compares the output of a guest with what its test expects.
 *
 * @module
 */

import { difference } from "./difference.ts";
import { findPatterns } from "./patterns.ts";
import type { Failure } from "./run_result.ts";
import type { OutputExpectation } from "./test_case.ts";
import { quoted } from "./visible.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Characters of a text that are shown. */
const SHOWN = 400;

/**
 * What is wrong with an output.
 *
 * @param golden the content of the golden file; `undefined` if there is none
 * @param timeoutMs how long a pattern may take
 */
export async function outputFailures(
  bytes: Bytes,
  expect: OutputExpectation,
  golden: Bytes | undefined,
  timeoutMs: number,
): Promise<Failure[]> {
  const text = decode(bytes);
  const failures: Failure[] = [];
  const fail = (what: string, expected: string): void => {
    failures.push({ what: `stdout ${what}`, expected, actual: shorten(text) });
  };
  if (expect.exact !== undefined) {
    const exact = new TextEncoder().encode(expect.exact);
    if (!sameBytes(bytes, exact)) failures.push(await differenceOf(exact, bytes));
  }
  if (expect.golden !== undefined) {
    if (golden === undefined) {
      fail(
        "golden",
        `the content of ${expect.golden}, which does not exist yet; --update writes it`,
      );
    } else if (!sameBytes(bytes, golden)) {
      failures.push(await differenceOf(golden, bytes));
    }
  }
  for (const part of expect.contains) {
    if (!text.includes(part)) fail("contains", quoted(part));
  }
  const answers = await findPatterns(expect.regex, text, timeoutMs);
  for (const [i, answer] of answers.entries()) {
    const pattern = String(expect.regex[i]);
    if (answer === "missing") fail("regex", pattern);
    if (answer === "slow") {
      const actual = `no answer within ${timeoutMs} ms: it backtracks too much in this output`;
      failures.push({ what: "stdout regex", expected: pattern, actual });
    }
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

async function differenceOf(expected: Bytes, actual: Bytes): Promise<Failure> {
  return {
    what: "stdout",
    expected: shorten(decode(expected)),
    actual: shorten(decode(actual)),
    diff: await difference(expected, actual),
  };
}

function decode(bytes: Bytes): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** A text in quotes, of which the end is shown if it is long: errors are there. */
function shorten(text: string): string {
  return text.length <= SHOWN ? quoted(text) : `...${quoted(text.slice(-SHOWN))}`;
}
