/**
 * Serial ports on streams that come and go: pseudo-terminals and Unix sockets.
 *
 * @module
 */

import {
  connectUnix,
  listenUnix,
  openPty,
  tryAccept,
  tryRead,
  tryWrite,
} from "../../ffi/streams.ts";
import { close, SystemError } from "../../ffi/libc.ts";
import type { InputWatcher, SerialBackend } from "./serial_backend.ts";

/** Output buffered for a slow reader; beyond it bytes are lost, as on a line without a reader. */
const OUTPUT_BYTES = 64 * 1024;
const INPUT_BYTES = 4096;

/** A stream with non-blocking reads and writes. */
abstract class StreamBackend implements SerialBackend {
  /** The open stream, if any. */
  protected fd: number | undefined;
  #watcher: InputWatcher | undefined;
  readonly #output = new Uint8Array(OUTPUT_BYTES);
  #used = 0;

  readonly write = (byte: number): void => {
    if (this.#used === OUTPUT_BYTES) this.flush();
    if (this.#used < OUTPUT_BYTES) this.#output[this.#used++] = byte;
  };

  poll(): Uint8Array | undefined {
    const fd = this.open();
    if (fd === undefined) return undefined;
    const bytes = new Uint8Array(INPUT_BYTES);
    const count = orHungUp(() => tryRead(fd, bytes), 0);
    if (count === 0) this.hangUp();
    return count ? bytes.subarray(0, count) : undefined;
  }

  flush(): void {
    if (this.#used === 0) return;
    const fd = this.open();
    if (fd === undefined) return;
    const count = orHungUp(() => tryWrite(fd, this.#output.subarray(0, this.#used)), undefined);
    if (count === undefined) {
      this.hangUp();
      return;
    }
    this.#output.copyWithin(0, count, this.#used);
    this.#used -= count;
  }

  watchInput(watcher: InputWatcher): void {
    this.#watcher = watcher;
    if (this.fd !== undefined) this.watch(this.fd);
  }

  [Symbol.dispose](): void {
    this.flush();
    this.hangUp();
  }

  protected watch(fd: number): void {
    this.#watcher?.watch(fd);
  }

  protected close(fd: number): void {
    this.#watcher?.unwatch(fd);
    close(fd);
  }

  /** The stream, reopened where that is possible. */
  protected open(): number | undefined {
    return this.fd;
  }

  /** Closes the stream, whichever end hung up. */
  protected hangUp(): void {
    if (this.fd !== undefined) this.close(this.fd);
    this.fd = undefined;
  }
}

/** Takes a failure for a hang-up: the other end is gone. */
function orHungUp<T>(call: () => T, hungUp: T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError) return hungUp;
    throw error;
  }
}

/**
 * A pseudo-terminal, for `screen`, `minicom` and the like.
 *
 * @example
 * ```ts
 * import { PtyBackend } from "./stream_backend.ts";
 * using pty = new PtyBackend();
 * console.log(pty.path); // "/dev/pts/3"
 * ```
 */
export class PtyBackend extends StreamBackend {
  /** Where the other end is. */
  readonly path: string;

  /** @throws {SystemError} */
  constructor() {
    super();
    const { fd, path } = openPty();
    this.fd = fd;
    this.path = path;
  }
}

/**
 * A Unix socket: connected to the listener at the path or, where the path does not
 * exist, itself a listener that takes one connection after the other.
 */
export class UnixBackend extends StreamBackend {
  #listener: number | undefined;

  /** @throws {SystemError} @throws {RangeError} when the path is too long */
  constructor(readonly path: string) {
    super();
    try {
      this.fd = connectUnix(path);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ENOENT")) throw error;
      this.#listener = listenUnix(path);
    }
  }

  override watchInput(watcher: InputWatcher): void {
    super.watchInput(watcher);
    if (this.#listener !== undefined) this.watch(this.#listener);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    if (this.#listener === undefined) return;
    this.close(this.#listener);
    this.#listener = undefined;
    removeIfThere(this.path);
  }

  protected override open(): number | undefined {
    const listener = this.#listener;
    if (this.fd === undefined && listener !== undefined) {
      this.fd = orHungUp(() => tryAccept(listener), undefined);
      if (this.fd !== undefined) this.watch(this.fd);
    }
    return this.fd;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
