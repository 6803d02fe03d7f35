/**
 * The values of options: sizes, durations, addresses, counts, choices.
 *
 * @module
 */

import { addressOf, sizeBytesOf } from "../../units.ts";
import { UsageError } from "./usage_error.ts";

const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A size in bytes: a decimal or hexadecimal number with an optional suffix
 * K, M, G or T (powers of 1024, `KiB` and `KB` too).
 *
 * @throws {UsageError}
 *
 * @example
 * ```ts
 * import { parseSize } from "./values.ts";
 * console.log(parseSize("--memory", "128M")); // 134217728
 * ```
 */
export function parseSize(option: string, text: string): number {
  const bytes = sizeBytesOf(text);
  if (bytes === undefined) {
    throw new UsageError(`${option}: "${text}" is not a size; write it as 512K, 128M or 5G`);
  }
  return bytes;
}

/**
 * A duration in milliseconds: a number with the unit ms, s, m or h.
 *
 * @throws {UsageError}
 */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const milliseconds = match ? Number(match[1]) * DURATIONS[match[2]!]! : NaN;
  if (!(milliseconds > 0)) {
    throw new UsageError(`${option}: "${text}" is not a duration; write it as 500ms, 5s or 2m`);
  }
  return milliseconds;
}

/** An address: decimal, or hexadecimal with 0x. @throws {UsageError} */
export function parseAddress(option: string, text: string): bigint {
  const address = addressOf(text);
  if (address === undefined) {
    throw new UsageError(`${option}: "${text}" is not an address; write it as 0x100000`);
  }
  return address;
}

/** An I/O port. @throws {UsageError} */
export function parsePort(option: string, text: string): number {
  const port = addressOf(text);
  if (port === undefined || port > 0xffffn) {
    throw new UsageError(`${option}: "${text}" is not a port; write it as 0x501`);
  }
  return Number(port);
}

/** A whole number of at least 1. @throws {UsageError} */
export function parseCount(option: string, text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new UsageError(`${option}: "${text}" is not a count; write a whole number of at least 1`);
  }
  return count;
}

/** One of a few words. @throws {UsageError} */
export function parseChoice<const T extends string>(
  option: string,
  text: string,
  choices: readonly T[],
): T {
  const choice = choices.find((c) => c === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`${option}: "${text}" is none of ${choices.join(", ")}`, {
    given: text,
    choices,
  });
}
