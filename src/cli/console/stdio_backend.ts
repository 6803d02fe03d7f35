/**
 * A serial port on standard input and output: a pipe or a file, or the terminal
 * as an interactive console.
 *
 * @module
 */

import { read, SystemError } from "../../../ffi/libc.ts";
import { isReadable } from "../../../ffi/streams.ts";
import type { ByteSink } from "../../devices/device.ts";
import type { InputWatcher, SerialBackend } from "../../devices/serial_backend.ts";
import type { Outcome } from "../../machine/outcome.ts";
import { ConsoleKeys, KEYS_HELP } from "./console_keys.ts";
import { RawTerminal } from "./raw_terminal.ts";

const STDIN = 0;
const INPUT_BYTES = 4096;

/** What the backend needs of the run. */
export interface StdioSurroundings {
  /** Takes the guest's output for stdout. */
  readonly stdout: ByteSink;
  /** Flushes it. */
  readonly flush: () => void;
  /** Ends the run. */
  readonly stop: (outcome: Outcome) => void;
  /** Shows the user a message. */
  readonly notify: (message: string) => void;
}

/** The backend for a terminal, or for a pipe or a file. */
export function stdioBackend(surroundings: StdioSurroundings): SerialBackend {
  return Deno.stdin.isTerminal()
    ? new ConsoleBackend(surroundings)
    : new StdioBackend(surroundings);
}

/** Standard output, and standard input as it arrives. */
class StdioBackend implements SerialBackend {
  readonly write: ByteSink;
  readonly flush: () => void;
  protected watcher: InputWatcher | undefined;
  #ended = false;

  constructor({ stdout, flush }: StdioSurroundings) {
    this.write = stdout;
    this.flush = flush;
  }

  watchInput(watcher: InputWatcher): void {
    this.watcher = watcher;
    watcher.watch(STDIN);
  }

  poll(): Uint8Array | undefined {
    if (this.#ended || !isReadable(STDIN)) return undefined;
    const bytes = new Uint8Array(INPUT_BYTES);
    const count = readOrEnd(bytes);
    if (count > 0) return bytes.subarray(0, count);
    this.#ended = true;
    this.watcher?.unwatch(STDIN);
    return undefined;
  }

  [Symbol.dispose](): void {
    this.watcher?.unwatch(STDIN);
  }
}

/**
 * The terminal. Until the guest polls for input its mode is unchanged and nothing
 * is read from it: Ctrl-C ends the run, and type-ahead stays for the next program.
 * Then it is in raw mode, and all keys but Ctrl-A go to the guest.
 */
class ConsoleBackend extends StdioBackend {
  readonly #surroundings: StdioSurroundings;
  readonly #keys: ConsoleKeys;
  #terminal: RawTerminal | undefined;
  #greeted = false;
  readonly #interrupted = (): void =>
    this.#surroundings.stop({ kind: "interrupted", signal: "SIGQUIT" });

  constructor(surroundings: StdioSurroundings) {
    super(surroundings);
    this.#surroundings = surroundings;
    this.#keys = new ConsoleKeys({
      quit: () => surroundings.stop({ kind: "quit", keys: "Ctrl-A x" }),
      help: () => surroundings.notify(KEYS_HELP),
    });
  }

  override watchInput(watcher: InputWatcher): void {
    this.watcher = watcher;
  }

  listening(): void {
    this.#terminal = new RawTerminal(STDIN, (isRaw) => this.#changed(isRaw));
    Deno.addSignalListener("SIGQUIT", this.#interrupted);
    this.#terminal.enter();
  }

  override poll(): Uint8Array | undefined {
    if (!this.#terminal?.enter()) return undefined;
    const bytes = super.poll();
    return bytes && this.#keys.feed(bytes);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    if (!this.#terminal) return;
    this.#terminal[Symbol.dispose]();
    this.#terminal = undefined;
    Deno.removeSignalListener("SIGQUIT", this.#interrupted);
  }

  #changed(isRaw: boolean): void {
    if (!isRaw) {
      this.watcher?.unwatch(STDIN);
      return;
    }
    this.watcher?.watch(STDIN);
    if (!this.#greeted) {
      this.#surroundings.notify("the guest reads what is typed; Ctrl-A x quits, Ctrl-A h helps");
    }
    this.#greeted = true;
  }
}

/** A read error counts as the end of standard input. */
function readOrEnd(bytes: Uint8Array<ArrayBuffer>): number {
  try {
    return read(STDIN, bytes);
  } catch (error) {
    if (error instanceof SystemError) return 0;
    throw error;
  }
}
