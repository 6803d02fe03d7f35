/**
 * The console's escape keys, which go to vmexit and not to the guest: Ctrl-A and
 * a letter.
 *
 * @module
 */

/** Ctrl-A. */
const ESCAPE = 0x01;

/** What the keys do, in one line. */
export const KEYS_HELP = "Ctrl-A x quits, Ctrl-A c sends Ctrl-A to the guest, Ctrl-A h shows this";

/** What the keys do. */
export interface KeyActions {
  /** Ctrl-A x. */
  quit(): void;
  /** Ctrl-A h, or Ctrl-A and any other key. */
  help(): void;
}

/**
 * Filters the escape keys out of the input.
 *
 * @example
 * ```ts
 * import { ConsoleKeys } from "./console_keys.ts";
 * const keys = new ConsoleKeys({ quit: () => console.log("quit"), help: () => {} });
 * console.log(keys.feed(new Uint8Array([0x61, 0x01, 0x63]))); // "a" and Ctrl-A: 0x61, 0x01
 * keys.feed(new Uint8Array([0x01, 0x78])); // quit
 * ```
 */
export class ConsoleKeys {
  readonly #actions: KeyActions;
  /** The last key was Ctrl-A. */
  #escaped = false;

  constructor(actions: KeyActions) {
    this.#actions = actions;
  }

  /** Takes input, in any pieces. @returns what is for the guest */
  feed(typed: Uint8Array): Uint8Array {
    const forGuest: number[] = [];
    for (const byte of typed) {
      if (this.#escaped) {
        this.#escaped = false;
        this.#command(byte, forGuest);
      } else if (byte === ESCAPE) this.#escaped = true;
      else forGuest.push(byte);
    }
    return Uint8Array.from(forGuest);
  }

  #command(byte: number, forGuest: number[]): void {
    if (byte === ESCAPE) {
      forGuest.push(ESCAPE);
      return;
    }
    switch (String.fromCharCode(byte)) {
      case "c":
        forGuest.push(ESCAPE);
        break;
      case "x":
        this.#actions.quit();
        break;
      default:
        this.#actions.help();
    }
  }
}
