/**
 * Host files through the C library: images, and the files that traces go to.
 * Deno's own calls refuse most of /dev and /proc unless every permission is
 * granted: /dev/stdin, /dev/full, the /dev/fd/63 of a shell's `<(command)`.
 *
 * @module
 */

import { EAGAIN, EINTR, ENXIO, EPIPE } from "./errno.ts";
import {
  close,
  O_CLOEXEC,
  O_CREAT,
  O_NONBLOCK,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  open,
  read,
  SystemError,
  write,
} from "./libc.ts";
import { isWritable, sleep } from "./streams.ts";

/** The first buffer for a file of unknown size. */
const FIRST_BYTES = 64 * 1024;
/** The mode of a new file, before the umask. */
const NEW_FILE_RIGHTS = 0o666;

/**
 * Reads a file or a pipe to its end.
 *
 * @returns the bytes, or `undefined` where there are more than `maxBytes`
 * @throws {SystemError}
 *
 * @example
 * ```ts
 * import { readHostFile } from "./host_file.ts";
 * console.log(readHostFile("/dev/null", 1024)?.length); // 0
 * ```
 */
export function readHostFile(path: string, maxBytes: number): Uint8Array | undefined {
  const fd = open(path, O_RDONLY | O_CLOEXEC);
  try {
    const sizeBytes = sizeOf(path);
    if (sizeBytes !== undefined && sizeBytes > maxBytes) return undefined;
    // A spare byte shows the end of the file without growing the buffer.
    let bytes = new Uint8Array((sizeBytes ?? Math.min(FIRST_BYTES, maxBytes)) + 1);
    for (let used = 0;;) {
      const count = readSome(fd, bytes.subarray(used));
      if (count === 0) return bytes.subarray(0, used);
      used += count;
      if (used > maxBytes) return undefined;
      if (used === bytes.length) {
        const larger = new Uint8Array(Math.min(used * 2, maxBytes + 1));
        larger.set(bytes);
        bytes = larger;
      }
    }
  } finally {
    close(fd);
  }
}

/** A file's size, as a hint: files grow, and those of /proc report 0. */
function sizeOf(path: string): number | undefined {
  try {
    const { isFile, size } = Deno.statSync(path);
    return isFile && size > 0 ? size : undefined;
  } catch {
    return undefined;
  }
}

function readSome(fd: number, into: Uint8Array<ArrayBuffer>): number {
  for (;;) {
    try {
      return read(fd, into);
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === EINTR)) throw error;
    }
  }
}

/**
 * A file to write from its start. Writes to a pipe or a terminal do not wait for its reader.
 *
 * @example
 * ```ts
 * import { HostFile } from "./host_file.ts";
 * using file = new HostFile("/dev/null");
 * console.log(file.writeSync(new Uint8Array(3))); // 3
 * ```
 */
export class HostFile implements Disposable {
  readonly #path: string;
  /** -1 while a named pipe has no reader. */
  #fd: number;

  /**
   * Creates the file, or truncates an existing one. A named pipe without a reader is no error:
   * writes to it would block until there is one.
   *
   * @throws {SystemError}
   */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openForWriting(path);
  }

  /** Whether there is a file to write to: a named pipe is opened as soon as it has a reader. */
  #isOpen(): boolean {
    if (this.#fd === -1) this.#fd = openForWriting(this.#path);
    return this.#fd !== -1;
  }

  /**
   * Writes as many of the bytes as one write(2) takes.
   *
   * @returns how many
   * @throws {Deno.errors.BrokenPipe} when the reader has closed its end
   * @throws {Deno.errors.WouldBlock} when the write would block
   */
  writeSync(bytes: Uint8Array<ArrayBuffer>): number {
    if (!this.#isOpen()) throw new Deno.errors.WouldBlock("the pipe has no reader");
    try {
      return write(this.#fd, bytes);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const { errno, text, code } = error;
      if (errno === EPIPE) throw new Deno.errors.BrokenPipe(text);
      if (errno === EAGAIN || errno === EINTR) throw new Deno.errors.WouldBlock(text);
      throw new Error(`${text} (${code})`);
    }
  }

  /** Waits for room. @returns whether there is any; after an error the next write throws it */
  waitForRoom(timeoutMs: number): boolean {
    const deadline = performance.now() + timeoutMs;
    while (!this.#isOpen()) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      sleep(Math.min(left, READER_POLL_MS));
    }
    return isWritable(this.#fd, Math.max(0, Math.ceil(deadline - performance.now())));
  }

  [Symbol.dispose](): void {
    if (this.#fd !== -1) close(this.#fd);
  }
}

/** How often a named pipe is tried while it has no reader. */
const READER_POLL_MS = 20;

/** Opens a file. @returns -1 for a named pipe without a reader @throws {SystemError} */
function openForWriting(path: string): number {
  try {
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, NEW_FILE_RIGHTS);
  } catch (error) {
    if (error instanceof SystemError && error.errno === ENXIO && isNamedPipe(path)) return -1;
    throw error;
  }
}

function isNamedPipe(path: string): boolean {
  try {
    return Deno.statSync(path).isFifo === true;
  } catch {
    return false;
  }
}
