/**
 * A PS/2 keyboard on which no key is pressed: it acknowledges its commands, so that
 * drivers detect it (IBM PC/AT Technical Reference, keyboard). The
 * controller, i8042.ts, passes bytes between it and the guest.
 *
 * @module
 */

const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;
/** What an MF2 keyboard says it is. */
const IDENTIFICATION = [0xab, 0x83] as const;

const SET_LEDS = 0xed;
const ECHO = 0xee;
const SCANCODE_SET = 0xf0;
const IDENTIFY = 0xf2;
const SET_REPEAT = 0xf3;
const ENABLE = 0xf4;
/** From `ENABLE` to here: defaults, and the kind of all keys; the next three set that of one key. */
const ALL_KEYS_LAST = 0xfa;
const SET_KEY = [0xfb, 0xfc, 0xfd] as const;
const RESET = 0xff;
/** Commands that take an argument. */
const WITH_ARGUMENT: readonly number[] = [SET_LEDS, SCANCODE_SET, SET_REPEAT, ...SET_KEY];
/** The scancode set after a reset. */
const DEFAULT_SET = 2;

/**
 * The keyboard.
 *
 * @example
 * ```ts
 * import { Ps2Keyboard } from "./ps2_keyboard.ts";
 * console.log(new Ps2Keyboard().receive(0xff)); // [250, 170]: acknowledged, self-test passed
 * ```
 */
export class Ps2Keyboard {
  /** The command that awaits its argument; 0 if none does. */
  #awaiting = 0;
  #scancodeSet = DEFAULT_SET;
  #last = 0;

  /** A byte from the controller. @returns the answer */
  receive(byte: number): readonly number[] {
    const answer = this.#answer(byte);
    this.#last = answer.at(-1)!;
    return answer;
  }

  #answer(byte: number): readonly number[] {
    const command = this.#awaiting;
    this.#awaiting = 0;
    if (command !== 0 && byte < SET_LEDS) return this.#argument(command, byte);
    if (WITH_ARGUMENT.includes(byte)) {
      this.#awaiting = byte;
      return [ACKNOWLEDGE];
    }
    if (byte >= ENABLE && byte <= ALL_KEYS_LAST) return [ACKNOWLEDGE];
    switch (byte) {
      case ECHO:
        return [ECHO];
      case IDENTIFY:
        return [ACKNOWLEDGE, ...IDENTIFICATION];
      case RESEND:
        return [this.#last];
      case RESET:
        this.#scancodeSet = DEFAULT_SET;
        return [ACKNOWLEDGE, SELF_TEST_PASSED];
      default:
        return [RESEND];
    }
  }

  #argument(command: number, byte: number): readonly number[] {
    if (command !== SCANCODE_SET) return [ACKNOWLEDGE];
    if (byte === 0) return [ACKNOWLEDGE, this.#scancodeSet];
    if (byte > 3) return [RESEND];
    this.#scancodeSet = byte;
    return [ACKNOWLEDGE];
  }
}
