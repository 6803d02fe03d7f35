/**
 * Parameter matrices: one test for each combination of values.
 *
 * @module
 */

/** The value of a parameter. */
export type Parameter = string | number | boolean;

/** No sensible matrix makes more tests than this. */
export const MAX_COMBINATIONS = 10_000;

/** How many combinations a matrix has. */
export function combinationCount(matrix: Readonly<Record<string, readonly unknown[]>>): number {
  return Object.values(matrix).reduce((product, values) => product * values.length, 1);
}

/**
 * All combinations of a matrix; the last parameter varies fastest.
 *
 * @example
 * ```ts
 * import { combinations } from "./matrix.ts";
 * console.log(combinations({ cpus: [1, 2] })); // [{ cpus: 1 }, { cpus: 2 }]
 * ```
 */
export function combinations(
  matrix: Readonly<Record<string, readonly Parameter[]>>,
): Record<string, Parameter>[] {
  return Object.entries(matrix).reduce<Record<string, Parameter>[]>(
    (all, [name, values]) =>
      all.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  );
}

/** What a combination adds to a test's name: ` [cpus=2 memory=16M]`. */
export function combinationName(parameters: Readonly<Record<string, Parameter>>): string {
  const parts = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
  return parts.length === 0 ? "" : ` [${parts.join(" ")}]`;
}
