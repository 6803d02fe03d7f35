/**
 * Standard output and standard error, written without ever waiting for a reader.
 *
 * The file descriptions behind descriptors 1 and 2 are shared with other processes, so O_NONBLOCK
 * must not be set on them. A pipe or a terminal is opened anew instead. Where that is refused, or
 * for a socket, as much is written as poll(2) says there is room for.
 *
 * @module
 */

import { EAGAIN, EINTR, EPIPE, errnoText } from "./errno.ts";
import { type FileIdentity, fileIdentity } from "./file_status.ts";
import {
  close,
  errnoCell,
  libc,
  O_CLOEXEC,
  O_NONBLOCK,
  O_WRONLY,
  open,
  SystemError,
} from "./libc.ts";
import { isWritable } from "./streams.ts";

/** open(2) flag: do not make the terminal this process's own. */
const O_NOCTTY = 0o400;
/** A pipe that has room at all takes this many bytes at once (PIPE_BUF), and so does a socket. */
const PIPE_BYTES = 4096;
/** A terminal that has room at all may have room for a single byte. */
const TERMINAL_BYTES = 1;

/**
 * An inherited descriptor as a stream of bytes.
 *
 * @example
 * ```ts
 * import { NonblockingStream } from "./nonblocking_stream.ts";
 * using stdout = new NonblockingStream(1);
 * console.error(stdout.writeSync(new TextEncoder().encode("hello\n"))); // 6, or less without room
 * ```
 */
export class NonblockingStream implements Disposable {
  /** The file behind the descriptor. */
  readonly file: FileIdentity;
  readonly #fd: number;
  readonly #opened: boolean;
  /** How much is written once poll(2) reports room; `undefined` if writes never block. */
  readonly #atOnce: number | undefined;

  /** @param fd an open descriptor, which stays open */
  constructor(fd: number) {
    this.file = fileIdentity(fd);
    const { type } = this.file;
    const own = type === "pipe" || type === "character" ? openAnew(fd) : undefined;
    this.#fd = own ?? fd;
    this.#opened = own !== undefined;
    if (this.#opened || type === "disk") this.#atOnce = undefined;
    else this.#atOnce = type === "character" ? TERMINAL_BYTES : PIPE_BYTES;
  }

  /**
   * Writes what there is room for.
   *
   * @returns the number of bytes; 0 when there is no room now
   * @throws {Deno.errors.BrokenPipe} when the reader has closed its end
   * @throws {Error} when the file cannot be written
   */
  writeSync(bytes: Uint8Array<ArrayBuffer>): number {
    let piece = bytes;
    if (this.#atOnce !== undefined) {
      if (!isWritable(this.#fd)) return 0;
      piece = bytes.subarray(0, this.#atOnce);
    }
    const count = libc.write(this.#fd, piece, BigInt(piece.length));
    if (count !== -1n) return Number(count);
    const errno = errnoCell[0]!;
    if (errno === EAGAIN || errno === EINTR) return 0;
    const message = `${errnoText(errno)} (os error ${errno})`;
    throw errno === EPIPE ? new Deno.errors.BrokenPipe(message) : new Error(message);
  }

  /** Waits for room. @returns whether there is any; after an error the next write throws it */
  waitForRoom(timeoutMs: number): boolean {
    return isWritable(this.#fd, timeoutMs);
  }

  [Symbol.dispose](): void {
    if (this.#opened) close(this.#fd);
  }
}

function openAnew(fd: number): number | undefined {
  try {
    return open(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  } catch (error) {
    // The terminal or the pipe may belong to another user; /proc may be missing.
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
