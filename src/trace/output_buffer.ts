/**
 * A buffer in front of a stream: one reused block of memory, written out in
 * large pieces, that never loses what it holds and never throws at a device.
 *
 * @module
 */

/** Something that takes bytes: `Deno.stdout`, an open file. */
export interface ByteStream {
  writeSync(bytes: Uint8Array<ArrayBuffer>): number;
}

/** Why a stream takes no more. */
export interface OutputFailure {
  /** Its reader closed it: the way `| head` ends, and no error. */
  readonly closed: boolean;
  /** What and why, for people. */
  readonly message: string;
}

const CAPACITY = 64 * 1024;
/** A string takes at most three bytes of UTF-8 for each UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;
/** How long to wait for a reader that is slower than a pipe without blocking allows. */
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
  /** Set once the stream refused; from then on everything is dropped. */
  failure: OutputFailure | undefined;
  readonly #bytes = new Uint8Array(CAPACITY);
  readonly #encoder = new TextEncoder();
  #used = 0;

  /**
   * @param stream where it goes
   * @param what what messages call it: `the trace file`
   * @param onFailure called once, when the stream refuses
   */
  constructor(
    readonly stream: ByteStream,
    readonly what: string,
    readonly onFailure: (failure: OutputFailure) => void = () => {},
  ) {}

  /** Adds one byte. */
  byte(byte: number): void {
    if (this.#used === CAPACITY) this.flush();
    this.#bytes[this.#used++] = byte;
  }

  /** Adds text. */
  text(text: string): void {
    if (this.#used + text.length * MAX_BYTES_PER_UNIT > CAPACITY) {
      this.flush();
      if (text.length * MAX_BYTES_PER_UNIT > CAPACITY) {
        this.#writeAll(this.#encoder.encode(text));
        return;
      }
    }
    this.#used += this.#encoder.encodeInto(text, this.#bytes.subarray(this.#used)).written;
  }

  /** Writes out what is there. */
  flush(): void {
    const used = this.#used;
    this.#used = 0;
    if (used > 0) this.#writeAll(this.#bytes.subarray(0, used));
  }

  #writeAll(bytes: Uint8Array<ArrayBuffer>): void {
    for (let done = 0; done < bytes.length && !this.failure;) {
      try {
        done += this.stream.writeSync(bytes.subarray(done));
      } catch (error) {
        if (error instanceof Deno.errors.WouldBlock) sleep(RETRY_MS);
        else this.#fail(error);
      }
    }
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

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
