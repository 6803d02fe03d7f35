/**
 * Measures in turn, A B A B … or A B C A B C …, so that a machine that slows down for a
 * while slows down all of them; what counts is the ratio within each pair.
 *
 * @module
 */

/** Makes one measurement. */
export type Measure = () => Promise<number>;

/** The result of measuring pairs. */
export interface PairResult {
  /** Median of ours. */
  readonly ours: number;
  /** Median of the peer's. */
  readonly peer: number;
  /** Ours divided by the peer's, pair by pair. */
  readonly ratio: { readonly median: number; readonly min: number; readonly max: number };
}

/**
 * Measures pairs, after one warm-up of each.
 *
 * @param count how many pairs
 * @param peer measures in the same unit
 */
export async function measurePairs(
  count: number,
  ours: Measure,
  peer: Measure,
): Promise<PairResult> {
  const [result] = await measureTurns(count, ours, [peer]);
  return result!;
}

/**
 * Measures ours and several peers in turn, after one warm-up of each.
 *
 * @param count how many turns
 * @returns ours beside each peer
 *
 * @example
 * ```ts
 * import { measureTurns } from "./pairs.ts";
 * const [a, b] = await measureTurns(3, async () => 1, [async () => 2, async () => 4]);
 * console.log(a!.ratio.median, b!.ratio.median); // 0.5 0.25
 * ```
 */
export async function measureTurns(
  count: number,
  ours: Measure,
  peers: readonly Measure[],
): Promise<PairResult[]> {
  const all = [ours, ...peers];
  const values = all.map((): number[] => []);
  for (let turn = 0; turn <= count; turn++) {
    for (const [i, measure] of all.entries()) {
      const value = await measure();
      if (turn > 0) values[i]!.push(value);
    }
  }
  const [own, ...others] = values;
  return others.map((peer) => summarize(own!, peer));
}

/** Sums up pairs. @throws {RangeError} unless both sides have the same number, at least one */
export function summarize(ours: readonly number[], peer: readonly number[]): PairResult {
  if (ours.length === 0 || ours.length !== peer.length) {
    throw new RangeError(`${ours.length} and ${peer.length} measurements make no pairs`);
  }
  const ratios = ours.map((value, i) => value / peer[i]!);
  return {
    ours: median(ours),
    peer: median(peer),
    ratio: { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
  };
}

/** The middle value, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
