/**
 * Guest output and messages in one place: a terminal, or `2>&1`. A message begins on its
 * own line though the guest has not finished one, and nothing gets into the middle of a message.
 *
 * @module
 */

import type { ByteStream } from "../../trace/output_buffer.ts";

const NEWLINE = new Uint8Array([0x0a]);

/**
 * A place that several streams lead to.
 *
 * @example
 * ```ts
 * import { SharedScreen } from "./shared_screen.ts";
 * const screen = new SharedScreen();
 * const guest = screen.forGuest(Deno.stdout);
 * const messages = screen.forMessages(Deno.stdout, () => {});
 * guest.writeSync(new TextEncoder().encode("login: "));
 * messages.writeSync(new TextEncoder().encode("vmexit: timeout\n")); // on the next line
 * ```
 */
export class SharedScreen {
  /** The guest has not finished its line. */
  #guestLine = false;
  /** Writes more of the message that is half written, where one is. */
  #finish: (() => void) | undefined;

  /** A stream for the guest's output. */
  forGuest(stream: ByteStream): ByteStream {
    return wrap(stream, (bytes) => {
      this.#finish?.();
      if (this.#finish) return 0;
      const count = stream.writeSync(bytes);
      if (count > 0) this.#guestLine = bytes[count - 1] !== NEWLINE[0];
      return count;
    });
  }

  /** A stream for messages, each with its line's end. @param finish writes the rest of one */
  forMessages(stream: ByteStream, finish: () => void): ByteStream {
    return wrap(stream, (bytes) => {
      if (this.#finish && this.#finish !== finish) this.#finish();
      if (this.#finish && this.#finish !== finish) return 0;
      if (this.#guestLine && stream.writeSync(NEWLINE) === 0) return 0;
      this.#guestLine = false;
      const count = stream.writeSync(bytes);
      if (count > 0) this.#finish = count < bytes.length ? finish : undefined;
      return count;
    });
  }

  /** Ends the guest's line, if it has begun one, for a message past the stream's buffer. */
  endLine(stream: ByteStream): void {
    if (!this.#guestLine) return;
    this.#guestLine = false;
    try {
      stream.writeSync(NEWLINE);
    } catch {
      // Then the message will not get there either.
    }
  }
}

function wrap(stream: ByteStream, writeSync: ByteStream["writeSync"]): ByteStream {
  const { waitForRoom } = stream;
  return {
    writeSync,
    ...(waitForRoom ? { waitForRoom: (timeoutMs) => waitForRoom.call(stream, timeoutMs) } : {}),
  };
}
