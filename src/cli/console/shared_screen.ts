/**
 * Standard output and standard error where both lead to one place: a terminal, or `2>&1`. A message
 * begins on a line of its own though the guest has not finished its line, and guest output never
 * gets into the middle of a message.
 *
 * @module
 */

import type { ByteStream } from "../../trace/output_buffer.ts";

const NEWLINE = new Uint8Array([0x0a]);

/**
 * Two streams that share a screen.
 *
 * @example
 * ```ts
 * import { SharedScreen } from "./shared_screen.ts";
 * const { stdout, stderr } = new SharedScreen(Deno.stdout, Deno.stdout, () => {});
 * stdout.writeSync(new TextEncoder().encode("login: "));
 * stderr.writeSync(new TextEncoder().encode("vmexit: timeout\n")); // on the next line
 * ```
 */
export class SharedScreen {
  readonly stdout: ByteStream;
  readonly stderr: ByteStream;
  /** The guest has not finished its line. */
  #guestLine = false;
  /** A message is only half written. */
  #message = false;

  /** @param finishMessage writes more of a message that is half written */
  constructor(stdout: ByteStream, stderr: ByteStream, finishMessage: () => void) {
    this.stdout = wrap(stdout, (bytes) => {
      if (this.#message) finishMessage();
      if (this.#message) return 0;
      const count = stdout.writeSync(bytes);
      if (count > 0) this.#guestLine = bytes[count - 1] !== NEWLINE[0];
      return count;
    });
    this.stderr = wrap(stderr, (bytes) => {
      if (this.#guestLine && stderr.writeSync(NEWLINE) === 0) return 0;
      this.#guestLine = false;
      const count = stderr.writeSync(bytes);
      if (count > 0) this.#message = count < bytes.length;
      return count;
    });
  }

  /** Ends the guest's line, if it has begun one. */
  endLine(): void {
    this.stderr.writeSync(new Uint8Array());
  }
}

function wrap(stream: ByteStream, writeSync: ByteStream["writeSync"]): ByteStream {
  const { waitForRoom } = stream;
  return {
    writeSync,
    ...(waitForRoom ? { waitForRoom: (timeoutMs) => waitForRoom.call(stream, timeoutMs) } : {}),
  };
}
