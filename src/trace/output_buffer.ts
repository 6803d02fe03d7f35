/**
 * A buffer in front of a stream: one reused block of memory, written out in large pieces.
 *
 * A write never throws. When the reader stalls, the buffer waits for it or, with `onStall`, has the
 * guest paused and grows until it is.
 *
 * @module
 */

import { sleep } from "../../ffi/streams.ts";

/** Something that takes bytes: `Deno.stdout`, an open file. */
export interface ByteStream {
  /**
   * Writes some of the bytes.
   *
   * @returns how many; 0 when there is no room now
   * @throws {Deno.errors.WouldBlock} when there is no room now
   * @throws {Deno.errors.BrokenPipe} when the reader has closed its end
   */
  writeSync(bytes: Uint8Array<ArrayBuffer>): number;
  /** Waits for room until the time is up. @returns whether there is any */
  waitForRoom?(timeoutMs: number): boolean;
}

/** Why a stream takes no more. */
export interface OutputFailure {
  /** Its reader closed it: the way `| head` ends, not an error. */
  readonly closed: boolean;
  /** The stream and the reason, to print. */
  readonly message: string;
}

/** More than this is held back only until the guest pauses. */
export const CAPACITY = 64 * 1024;
/** A string takes at most three bytes of UTF-8 for each UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;
/** How long a full buffer waits for a reader before it calls the reader stalled. */
const STALL_MS = 20;
/** How long to sleep before the next try, where a stream cannot be waited for. */
const RETRY_MS = 1;

/**
 * Bytes and text on their way to a stream.
 *
 * @example
 * ```ts
 * import { OutputBuffer } from "./output_buffer.ts";
 * const out = new OutputBuffer(Deno.stdout, "standard output");
 * out.text("hello\n");
 * out.flush();
 * ```
 */
export class OutputBuffer {
  /** Set once the stream has failed; from then on everything is dropped. */
  failure: OutputFailure | undefined;
  #bytes = new Uint8Array(CAPACITY);
  readonly #encoder = new TextEncoder();
  #used = 0;
  /** A wait for the reader timed out, and it has taken nothing since. */
  #stalled = false;

  /**
   * @param stream where it goes
   * @param what what messages call it: `the trace file`
   * @param onFailure called once, when the stream fails
   * @param onStall called when the buffer is full and the reader takes nothing: pauses the guest.
   *   Without it the buffer waits for the reader
   */
  constructor(
    readonly stream: ByteStream,
    readonly what: string,
    readonly onFailure: (failure: OutputFailure) => void = () => {},
    readonly onStall?: () => void,
  ) {}

  /** How many bytes are not written yet. */
  get pending(): number {
    return this.#used;
  }

  /** Adds one byte. */
  byte(byte: number): void {
    if (this.#used === this.#bytes.length) this.#makeRoom(1);
    this.#bytes[this.#used++] = byte;
  }

  /** Adds text. */
  text(text: string): void {
    const most = text.length * MAX_BYTES_PER_UNIT;
    if (this.#used + most > this.#bytes.length) {
      if (most > CAPACITY) return this.#large(this.#encoder.encode(text));
      this.#makeRoom(most);
    }
    this.#used += this.#encoder.encodeInto(text, this.#bytes.subarray(this.#used)).written;
  }

  /** Writes out the pending bytes, or as many as the reader takes. */
  flush(): void {
    if (this.#used === 0) return;
    const done = this.#write(this.#bytes.subarray(0, this.#used));
    if (done < this.#used) this.#bytes.copyWithin(0, done, this.#used);
    this.#used -= done;
    if (this.#used >= CAPACITY) this.onStall?.();
  }

  /** Writes until at most `most` bytes are pending, or the time is up. @returns whether it did */
  drain(most: number, timeoutMs: number): boolean {
    const end = performance.now() + timeoutMs;
    for (;;) {
      this.flush();
      if (this.#used <= most) return true;
      const leftMs = end - performance.now();
      if (leftMs <= 0) return false;
      this.#waitForRoom(Math.ceil(leftMs));
    }
  }

  /** Drops all pending bytes. @returns how many bytes */
  drop(): number {
    const dropped = this.#used;
    this.#used = 0;
    return dropped;
  }

  #makeRoom(bytes: number): void {
    this.flush();
    if (this.#used + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * this.#bytes.length + bytes);
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }

  #large(bytes: Uint8Array<ArrayBuffer>): void {
    this.flush();
    const rest = bytes.subarray(this.#used === 0 ? this.#write(bytes) : 0);
    if (this.#used + rest.length > this.#bytes.length) this.#makeRoom(rest.length);
    this.#bytes.set(rest, this.#used);
    this.#used += rest.length;
  }

  /** @returns how many bytes are done with: written, or dropped after a failure */
  #write(bytes: Uint8Array<ArrayBuffer>): number {
    for (let done = 0;;) {
      if (done === bytes.length || this.failure) return bytes.length;
      const count = this.#tryWrite(done === 0 ? bytes : bytes.subarray(done));
      done += count;
      if (count > 0) this.#stalled = false;
      else if (!this.onStall) this.#waitForRoom(1000);
      else if (this.#stalled || bytes.length - done < CAPACITY) return done;
      else this.#stalled = !this.#waitForRoom(STALL_MS);
    }
  }

  #tryWrite(bytes: Uint8Array<ArrayBuffer>): number {
    try {
      return this.stream.writeSync(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) this.#fail(error);
      return 0;
    }
  }

  #waitForRoom(timeoutMs: number): boolean {
    if (this.stream.waitForRoom) return this.stream.waitForRoom(timeoutMs);
    sleep(RETRY_MS);
    return true;
  }

  #fail(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.failure = {
      closed: error instanceof Deno.errors.BrokenPipe,
      message: `${this.what}: ${why}`,
    };
    this.onFailure(this.failure);
  }
}
