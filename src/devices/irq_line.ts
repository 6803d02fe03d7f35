/**
 * An interrupt line that several devices share: high while any of them drives it
 * high.
 *
 * @module
 */

import type { IrqSink } from "./device.ts";

/**
 * One input of the interrupt controllers.
 *
 * @example
 * ```ts
 * import { IrqLine } from "./irq_line.ts";
 * const line = new IrqLine((level) => console.log(level));
 * const [com1, com3] = [line.input(), line.input()];
 * com1(true); // true
 * com3(true);
 * com1(false);
 * com3(false); // false
 * ```
 */
export class IrqLine {
  #high = 0;

  /** @param output called when the level changes */
  constructor(readonly output: IrqSink) {}

  /** An input for one more device. */
  input(): IrqSink {
    let driven = false;
    return (level) => {
      if (level === driven) return;
      driven = level;
      this.#high += level ? 1 : -1;
      if (this.#high === (level ? 1 : 0)) this.output(level);
    };
  }
}
