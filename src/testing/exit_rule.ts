/**
 * What a test expects of the exits: counts and sequences, checked while the trace streams in, so
 * that a long trace takes no memory.
 *
 * @module
 */

import { payloadOf } from "../trace/read.ts";
import type { ExitRecord } from "../trace/records.ts";

/** A pattern for exits: every field that is given must match. */
export interface ExitPattern {
  readonly reason?: string;
  /** Ports of `IO`, from the first to the last. */
  readonly ports?: readonly [bigint, bigint];
  /** Addresses of `MMIO` and `MEMORY_FAULT`, from the first to the last. */
  readonly gpas?: readonly [bigint, bigint];
  /** `in` and `out` of `IO`; `read` and `write` of `MMIO`. */
  readonly direction?: string;
}

/** How many, inclusive. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** A rule: a number of exits, or a sequence of them. */
export type ExitRule =
  | { readonly kind: "count"; readonly pattern: ExitPattern; readonly bounds: Bounds }
  | {
    readonly kind: "sequence";
    readonly steps: readonly ExitPattern[];
    /** Whether no other exit may come between the steps. */
    readonly consecutive: boolean;
  };

/** What KVM may report a memory fault as: the trace calls it a fault, the summary counts KVM's reason. */
const FAULT_SHAPES = ["MEMORY_FAULT", "MMIO", "INTERNAL_ERROR", "SHUTDOWN", "UNKNOWN"];

/** Whether the summary of a run decides a rule, so that no trace is needed. */
export function isInSummary(rule: ExitRule): boolean {
  if (rule.kind !== "count") return false;
  const { reason, ports, gpas, direction } = rule.pattern;
  if (reason === undefined || FAULT_SHAPES.includes(reason)) return false;
  return !ports && !gpas && direction === undefined;
}

/** The reasons that a rule looks at; `undefined` for all. */
export function reasonsOf(rule: ExitRule): string[] | undefined {
  // Only a whole trace shows whether exits directly follow one another.
  if (rule.kind === "sequence" && rule.consecutive) return undefined;
  const reasons = (rule.kind === "count" ? [rule.pattern] : rule.steps).map(reasonOf);
  return reasons.every((reason) => reason !== undefined) ? reasons : undefined;
}

function reasonOf({ reason, ports, direction }: ExitPattern): string | undefined {
  if (reason !== undefined) return reason;
  return ports || direction === "in" || direction === "out" ? "IO" : undefined;
}

/** Whether an exit matches a pattern. */
export function matches(pattern: ExitPattern, exit: ExitRecord): boolean {
  if (pattern.reason !== undefined && exit.reason !== pattern.reason) return false;
  const payload = payloadOf(exit);
  if (pattern.direction !== undefined && payload.direction !== pattern.direction) return false;
  return isWithin(payload.port, pattern.ports) && isWithin(payload.gpa, pattern.gpas);
}

function isWithin(value: unknown, range: readonly [bigint, bigint] | undefined): boolean {
  if (!range) return true;
  if (typeof value !== "number" && typeof value !== "string") return false;
  const number = BigInt(value);
  return number >= range[0] && number <= range[1];
}

/** Follows the exits of one run. */
export class ExitWatch {
  readonly #rule: ExitRule;
  #count = 0;
  /** For a sequence: how many steps were seen, and for consecutive ones which prefixes are open. */
  #seen = 0;
  #open: number[] = [];

  constructor(rule: ExitRule) {
    this.#rule = rule;
  }

  /** Sees the next exit. */
  see(exit: ExitRecord): void {
    const rule = this.#rule;
    if (rule.kind === "count") {
      if (matches(rule.pattern, exit)) this.#count++;
      return;
    }
    const { steps, consecutive } = rule;
    if (this.#seen === steps.length) return;
    if (!consecutive) {
      if (matches(steps[this.#seen]!, exit)) this.#seen++;
      return;
    }
    this.#open = [...this.#open, 0].filter((n) => matches(steps[n]!, exit)).map((n) => n + 1);
    this.#seen = Math.max(this.#seen, ...this.#open);
  }

  /**
   * What is wrong at the end of the run.
   *
   * @param byReason exits by reason as the run counted them, for exits that were not traced
   */
  failure(byReason: Readonly<Record<string, number>>): ExitFailure | undefined {
    const rule = this.#rule;
    if (rule.kind === "count") {
      const count = isInSummary(rule) ? byReason[rule.pattern.reason!] ?? 0 : this.#count;
      const { min, max } = rule.bounds;
      if (count >= min && count <= max) return undefined;
      return {
        what: `exits ${patternText(rule.pattern)}`,
        expected: boundsText(rule.bounds),
        actual: String(count),
      };
    }
    if (this.#seen === rule.steps.length) return undefined;
    const steps = rule.steps.map(patternText);
    return {
      what: rule.consecutive ? "consecutive exits" : "sequence of exits",
      expected: steps.join(", "),
      actual: `${steps.slice(0, this.#seen).join(", ") || "nothing"}, and then no ` +
        steps[this.#seen],
    };
  }
}

/** A rule that was broken. */
export interface ExitFailure {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** Bounds as text. */
export function boundsText({ min, max }: Bounds): string {
  if (min === max) return String(min);
  if (max === Infinity) return `at least ${min}`;
  return min === 0 ? `at most ${max}` : `${min} to ${max}`;
}

function patternText({ reason, ports, gpas, direction }: ExitPattern): string {
  const range = ([first, last]: readonly [bigint, bigint]): string =>
    first === last ? `0x${first.toString(16)}` : `0x${first.toString(16)}-0x${last.toString(16)}`;
  return [
    reason ?? (ports ? "IO" : "any"),
    ...(direction === undefined ? [] : [direction]),
    ...(ports ? [`port=${range(ports)}`] : []),
    ...(gpas ? [`gpa=${range(gpas)}`] : []),
  ].join(" ");
}
