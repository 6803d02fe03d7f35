/**
 * Files of the host by way of the C library. Deno's own calls refuse most of
 * /dev and /proc unless every permission is granted: /dev/stdin, /dev/full, the
 * /dev/fd/63 of a shell's `<(command)`.
 *
 * @module
 */

import { EAGAIN, EINTR, EPIPE } from "./errno.ts";
import {
  close,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  open,
  read,
  SystemError,
  write,
} from "./libc.ts";

/** How much room a file gets whose size is not known. */
const FIRST_BYTES = 64 * 1024;
/** Rights of a new file, before the umask. */
const NEW_FILE_RIGHTS = 0o666;

/**
 * A whole file, or what comes out of a pipe until it ends.
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
    // One byte more than there is shows the end without another growth.
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

/** How long a file is, where that can be seen. It may grow, and those of /proc seem empty. */
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
 * A file that is written from its start.
 *
 * @example
 * ```ts
 * import { HostFile } from "./host_file.ts";
 * using file = new HostFile("/dev/null");
 * console.log(file.writeSync(new Uint8Array(3))); // 3
 * ```
 */
export class HostFile implements Disposable {
  readonly #fd: number;

  /**
   * Makes the file, or empties the one that is there.
   *
   * @throws {SystemError}
   */
  constructor(path: string) {
    this.#fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, NEW_FILE_RIGHTS);
  }

  /**
   * Writes some of the bytes.
   *
   * @returns how many
   * @throws {Deno.errors.BrokenPipe} when nobody reads any more
   * @throws {Deno.errors.WouldBlock} when nothing can be written just now
   */
  writeSync(bytes: Uint8Array<ArrayBuffer>): number {
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

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}
