/**
 * A terminal in raw mode, for as long as that is wanted and no longer: whatever
 * way the process ends, and while it is stopped, the terminal is as it was.
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

/** Ways out that dispose of nothing: `Deno.exit`, and an error that nobody catches. */
const LAST_EVENTS = ["unload", "error", "unhandledrejection"] as const;

/**
 * A terminal that can be put into raw mode. A background process leaves it alone.
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
  /** The mode to go back to. */
  #before: TerminalMode | undefined;
  #isRaw = false;
  readonly #leave = (): void => this.leave();
  readonly #stop = (): void => {
    this.leave();
    stopProcess();
  };
  /** After a stop that nobody announces (SIGSTOP) the mode may be anybody's. */
  readonly #continue = (): void => {
    this.#isRaw = false;
    this.enter();
  };

  /** @param onChange told when raw mode begins and ends */
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

  /** Begins raw mode, unless it is on. @returns whether the terminal is this process's now */
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

  /** Ends raw mode. */
  leave(): void {
    const before = this.#before;
    this.#before = undefined;
    if (!this.#isRaw || !before) return;
    this.#isRaw = false;
    this.onChange(false);
    // In the background the terminal is somebody else's, who has set it to what he needs.
    if (mayUseTerminal(this.fd)) unlessGone(() => setTerminalMode(this.fd, before));
  }
}

/** @returns whether the terminal was there still, and not hung up */
function unlessGone(use: () => void): boolean {
  try {
    use();
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}
