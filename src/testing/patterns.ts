/**
 * Matches patterns against an output. The guest's output decides how long that takes, so it is done
 * in a thread that can be killed.
 *
 * @module
 */

/** A request to the thread. */
export interface PatternQuestion {
  readonly pattern: RegExp;
  readonly text: string;
}

/** What the thread says: that it has started, and whether the pattern matches. */
export type PatternMessage = "ready" | boolean;

/** Whether a pattern matches, or that it took too long. */
export type PatternAnswer = "found" | "missing" | "slow";

/** In a text this short a pattern takes no time, unless it nests repetitions. */
const SHORT_UNITS = 4096;
const REPEATED_GROUP = /\)(?:[*+]|\{\d)/;

/**
 * Looks for patterns.
 *
 * @param timeoutMs how long each may take
 *
 * @example
 * ```ts
 * import { findPatterns } from "./patterns.ts";
 * console.log(await findPatterns([/two$/m], "one\ntwo\n", 1000)); // ["found"]
 * ```
 */
export async function findPatterns(
  patterns: readonly RegExp[],
  text: string,
  timeoutMs: number,
): Promise<PatternAnswer[]> {
  const answers: PatternAnswer[] = [];
  for (const pattern of patterns) {
    const isQuick = text.length <= SHORT_UNITS && !REPEATED_GROUP.test(pattern.source);
    const found = isQuick ? pattern.test(text) : await askThread({ pattern, text }, timeoutMs);
    answers.push(found === undefined ? "slow" : found ? "found" : "missing");
  }
  return answers;
}

/** The thread's answer; `undefined` where it took too long. */
async function askThread(
  question: PatternQuestion,
  timeoutMs: number,
): Promise<boolean | undefined> {
  const worker = new Worker(new URL("./pattern_worker.ts", import.meta.url), { type: "module" });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise((resolve, reject) => {
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.onmessage = ({ data }: MessageEvent<PatternMessage>) => {
        if (data !== "ready") return resolve(data);
        timer = setTimeout(() => resolve(undefined), timeoutMs);
        worker.postMessage(question);
      };
    });
  } finally {
    clearTimeout(timer);
    worker.terminate();
  }
}
