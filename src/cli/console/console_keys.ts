/**
 * The keys by which a user talks to vmexit instead of to the guest: Ctrl-A, and
 * a letter behind it.
 *
 * @module
 */

/** Ctrl-A, as a terminal sends it. */
const ESCAPE = 0x01;

/** What the keys do, in one line. */
export const KEYS_HELP = "Ctrl-A x quits, Ctrl-A c sends Ctrl-A to the guest, Ctrl-A h shows this";

/** Who is told of the keys. */
export interface KeyActions {
  /** Ctrl-A x. */
  quit(): void;
  /** Ctrl-A h, or a key behind Ctrl-A that means nothing. */
  help(): void;
}

/**
 * Takes the keys for vmexit out of what is typed.
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

  /** Takes what is typed, of which a key may come in two pieces. @returns the guest's part */
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
