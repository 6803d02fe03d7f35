/**
 * A row of the table of benchmarks: what is measured, beside whom, and what is
 * said of it.
 *
 * @module
 */

import type { PairResult } from "./pairs.ts";

/** What is to be reached. */
export interface Target {
  readonly is: "at least" | "at most";
  readonly ratio: number;
}

/** Something that is measured beside one peer or several. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  /** Which is better; none where the two are not rivals. */
  readonly better?: "more" | "less";
  readonly target?: Target;
  readonly peers: readonly string[];
  /** How many turns are measured unless the user says how many. */
  readonly turns: number;
  /** Gives a result for each peer. */
  measure(turns: number): Promise<readonly PairResult[]>;
}

/** Rows that belong together. */
export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
  /** What is not measured, and why. */
  readonly notes: readonly string[];
}

/** What the columns of {@linkcode cellsOf} are. */
export const HEADINGS: readonly string[] = [
  "what",
  "vmexit",
  "peer",
  "unit",
  "ratio (min-max)",
  "peer is",
  "verdict",
];

/** A result in words. @param peer which of the row's peers it is beside */
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

/** Says where vmexit loses, and whether the target was met. Ratios that are shown as 1 are even. */
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
