/**
 * When the guest's serial output is flushed: soon, so that people and scripts see it,
 * but not byte by byte.
 *
 * @module
 */

import type { OutputBuffer } from "../../trace/output_buffer.ts";

/** An unfinished line is flushed by the first byte that comes this much later. */
const SHOW_MS = 10;
const NEWLINE = 0x0a;

/**
 * For a pipe or a file: flushes whole lines at once, and unfinished ones after a while.
 *
 * @param now the time in milliseconds
 *
 * @example
 * ```ts
 * import { OutputBuffer } from "../../trace/output_buffer.ts";
 * import { promptOutput } from "./guest_output.ts";
 * const write = promptOutput(new OutputBuffer(Deno.stdout, "standard output"));
 * for (const byte of new TextEncoder().encode("hello\n")) write(byte);
 * ```
 */
export function promptOutput(
  stdout: OutputBuffer,
  now: () => number = () => performance.now(),
): (byte: number) => void {
  let waitsSince: number | undefined;
  return (byte) => {
    stdout.byte(byte);
    if (byte !== NEWLINE) {
      const time = now();
      waitsSince ??= time;
      if (time - waitsSince < SHOW_MS) return;
    }
    waitsSince = undefined;
    stdout.flush();
  };
}

/** For a terminal: flushes each line after the exits that led to it. */
export function terminalOutput(stdout: OutputBuffer, trace: OutputBuffer): (byte: number) => void {
  let lineIsWhole = false;
  return (byte) => {
    if (lineIsWhole) {
      trace.flush();
      stdout.flush();
    }
    stdout.byte(byte);
    lineIsWhole = byte === NEWLINE;
  };
}
