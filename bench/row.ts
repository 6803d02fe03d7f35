/**
 * A row of the benchmark table: what is measured, which peers it is compared with, and the
 * verdict.
 *
 * @module
 */

import type { PairResult } from "./pairs.ts";

/** The ratio to reach. */
export interface Target {
  readonly is: "at least" | "at most";
  readonly ratio: number;
}

/** A measurement beside one peer or several. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  /** Which is better; unset if the two are not rivals. */
  readonly better?: "more" | "less";
  readonly target?: Target;
  readonly peers: readonly string[];
  /** The default number of turns. */
  readonly turns: number;
  /** @returns a result for each peer */
  measure(turns: number): Promise<readonly PairResult[]>;
}

/** A table of rows. */
export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
  /** The measurement that is missing, and why. */
  readonly notes: readonly string[];
}

/** The headings of the columns of {@linkcode cellsOf}. */
export const HEADINGS: readonly string[] = [
  "what",
  "vmexit",
  "peer",
  "unit",
  "ratio (min-max)",
  "peer is",
  "verdict",
];

/** A result as text. @param peer which of the row's peers it is compared with */
export function cellsOf(row: Row, peer: number, result: PairResult): string[] {
  const { ours, peer: theirs, ratio } = result;
  return [
    peer === 0 ? row.name : "",
    quantity(ours),
    quantity(theirs),
    row.unit,
    `${times(ratio.median)} (${times(ratio.min)}-${times(ratio.max)})`,
    row.peers[peer]!,
    verdict(row, ratio.median),
  ];
}

/** Says where vmexit loses, and whether it met the target. A ratio shown as 1 is a tie. */
export function verdict({ better, target }: Pick<Row, "better" | "target">, ratio: number): string {
  const words: string[] = [];
  const shown = Number(ratio.toFixed(2));
  if (better && (better === "more" ? shown < 1 : shown > 1)) words.push("loses");
  if (target) {
    const met = target.is === "at least" ? ratio >= target.ratio : ratio <= target.ratio;
    words.push(`${met ? "meets" : "misses"} ${target.is} ${target.ratio}`);
  }
  return words.join(", ");
}

/** A number with three digits or more. */
export function quantity(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value < 10 ? 2 : 1);
}

function times(ratio: number): string {
  return ratio.toFixed(ratio < 100 ? 2 : 0);
}

/** A table in Markdown whose columns are aligned. @param rows the headings first */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(3, ...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) => markdownLine(row, widths));
  lines.splice(1, 0, markdownLine(widths.map((width) => "-".repeat(width)), widths));
  return lines.join("\n");
}

/** A line of such a table. */
export function markdownLine(cells: readonly string[], widths: readonly number[]): string {
  return `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
}
