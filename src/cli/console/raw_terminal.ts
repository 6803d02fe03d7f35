/**
 * A terminal in raw mode. However the process ends, and while it is stopped, the terminal
 * has its former mode.
 *
 * @module
 */

import { SystemError } from "../../../ffi/libc.ts";
import { stopProcess } from "../../../ffi/signals.ts";
import {
  mayUseTerminal,
  rawInputMode,
  setTerminalMode,
  type TerminalMode,
  terminalMode,
} from "../../../ffi/terminal.ts";

/** Ways to end that skip `using`: `Deno.exit`, and an uncaught error. */
const LAST_EVENTS = ["unload", "error", "unhandledrejection"] as const;

/**
 * Puts a terminal into raw mode and back. A background process leaves it alone.
 *
 * @example
 * ```ts
 * import { RawTerminal } from "./raw_terminal.ts";
 * if (Deno.stdin.isTerminal()) {
 *   using terminal = new RawTerminal(0, (isRaw) => console.error(isRaw));
 *   console.error(terminal.enter()); // true in the foreground
 * }
 * ```
 */
export class RawTerminal implements Disposable {
  /** The former mode. */
  #before: TerminalMode | undefined;
  #isRaw = false;
  readonly #leave = (): void => this.leave();
  readonly #stop = (): void => {
    this.leave();
    stopProcess();
  };
  /** SIGSTOP gives no notice: the shell may have changed the mode meanwhile. */
  readonly #continue = (): void => {
    this.#isRaw = false;
    this.enter();
  };

  /** @param onChange called when raw mode begins and ends */
  constructor(readonly fd: number, readonly onChange: (isRaw: boolean) => void) {
    for (const event of LAST_EVENTS) addEventListener(event, this.#leave);
    Deno.addSignalListener("SIGTSTP", this.#stop);
    Deno.addSignalListener("SIGCONT", this.#continue);
  }

  [Symbol.dispose](): void {
    this.leave();
    for (const event of LAST_EVENTS) removeEventListener(event, this.#leave);
    Deno.removeSignalListener("SIGTSTP", this.#stop);
    Deno.removeSignalListener("SIGCONT", this.#continue);
  }

  /** Enters raw mode. @returns whether this process may use the terminal */
  enter(): boolean {
    if (!mayUseTerminal(this.fd)) return false;
    if (this.#isRaw) return true;
    return unlessGone(() => {
      this.#before ??= terminalMode(this.fd);
      setTerminalMode(this.fd, rawInputMode(this.#before));
      this.#isRaw = true;
      this.onChange(true);
    });
  }

  /** Restores the former mode. */
  leave(): void {
    const before = this.#before;
    this.#before = undefined;
    if (!this.#isRaw || !before) return;
    this.#isRaw = false;
    this.onChange(false);
    // In the background the terminal belongs to another process, which has set its mode.
    if (mayUseTerminal(this.fd)) unlessGone(() => setTerminalMode(this.fd, before));
  }
}

/** @returns false when the terminal has hung up */
function unlessGone(use: () => void): boolean {
  try {
    use();
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}
