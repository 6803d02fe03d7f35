/**
 * Random numbers that are the same in every run.
 *
 * @module
 */

/** A generator of 32-bit numbers (xorshift, Marsaglia 2003), with a fixed seed for fixed tests. */
export class Random {
  #state: number;

  /** @param seed any number but 0 */
  constructor(seed: number) {
    this.#state = seed;
  }

  /** A number from 0 to `end - 1`. */
  below(end: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % end;
  }

  /** One of the elements. */
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}
