/**
 * Two things measured in turn, A B A B …, so that a machine that slows down for
 * a while slows down both; what counts is the ratio within each pair.
 *
 * @module
 */

/** What a measurement of pairs tells. */
export interface PairResult {
  /** The median of ours. */
  readonly ours: number;
  /** The median of the peer's. */
  readonly peer: number;
  /** Ours by the peer's, pair by pair: median, least and greatest. */
  readonly ratio: { readonly median: number; readonly min: number; readonly max: number };
}

/**
 * Measures pairs, after one of each that does not count.
 *
 * @param count how many pairs
 * @param ours makes one measurement
 * @param peer makes one measurement in the same unit
 */
export async function measurePairs(
  count: number,
  ours: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<PairResult> {
  await ours();
  await peer();
  const a: number[] = [];
  const b: number[] = [];
  for (let i = 0; i < count; i++) {
    a.push(await ours());
    b.push(await peer());
  }
  return summarize(a, b);
}

/** Sums up what was measured. @throws {RangeError} unless both have the same number, at least one */
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

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
