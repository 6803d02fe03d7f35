/**
 * A thread that matches patterns: the main module of its Worker. It can be killed while a pattern
 * backtracks without end.
 *
 * @module
 */

import type { PatternMessage, PatternQuestion } from "./patterns.ts";

/** What a Worker has; the types of the whole project are those of a main thread. */
interface Thread {
  onmessage: (event: MessageEvent<PatternQuestion>) => void;
  postMessage(message: PatternMessage): void;
}
const thread = globalThis as unknown as Thread;

thread.onmessage = ({ data: { pattern, text } }) => thread.postMessage(pattern.test(text));
thread.postMessage("ready");
