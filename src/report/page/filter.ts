/**
 * The filter of the page: words, all of which an exit must match.
 *
 * `IO`, `out`, `uart0`, `COM1` or any other text; `port=0x3f8`, `gpa=0xfee00000..0xfee00fff`,
 * `rip=0x100000..`, `cpu=1`, `n=10..20`, `t=1ms..2ms`, `gap=1ms..`, `data=48`; a comma means
 * or, a `-` in front means not.
 *
 * @module
 */

import { portName } from "../../exits/port_names.ts";
import type { Prepared, Selection } from "../aggregate.ts";
import { firstRowAt, type TimeRange } from "../aggregate.ts";
import { dataOf, spaceOf } from "../rows.ts";

/** Whether a row is wanted. */
export type RowTest = (row: number) => boolean;

/** A filter that cannot be parsed. */
export class FilterError extends Error {
  override readonly name = "FilterError";
}

/** From the first to the last value, both wanted. */
interface Span<T> {
  readonly least: T | undefined;
  readonly most: T | undefined;
}

/** Keys, in the words of the messages. */
export const FILTER_KEYS = [
  "reason",
  "port",
  "gpa",
  "msr",
  "rip",
  "cpu",
  "n",
  "t",
  "gap",
  "dir",
  "dev",
  "data",
] as const;
const KEYS: ReadonlySet<string> = new Set(FILTER_KEYS);

const TENTHS: Readonly<Record<string, number>> = { us: 10, "µs": 10, ms: 1e4, s: 1e7 };

/**
 * Reads a filter.
 *
 * @returns one test a word
 * @throws {FilterError}
 */
export function parseFilter(text: string, prepared: Prepared): RowTest[] {
  return text.trim().split(/\s+/).filter((word) => word !== "").map((word) => {
    if (word.length > 1 && /^[-!]/.test(word)) {
      const test = wordTest(word.slice(1), prepared);
      return (row) => !test(row);
    }
    return wordTest(word, prepared);
  });
}

/** The rows of a time that pass all tests. */
export function selectRows(
  { rows }: Prepared,
  { from, to }: TimeRange,
  tests: readonly RowTest[],
): Selection {
  const first = firstRowAt(rows, from);
  const last = firstRowAt(rows, to);
  const found = new Uint32Array(last - first);
  let count = 0;
  for (let row = first; row < last; row++) {
    let wanted = true;
    for (let i = 0; wanted && i < tests.length; i++) wanted = tests[i]!(row);
    if (wanted) found[count++] = row;
  }
  return found.subarray(0, count);
}

function wordTest(word: string, prepared: Prepared): RowTest {
  const split = /^([a-z]+)[=:](.*)$/i.exec(word);
  const key = split?.[1]?.toLowerCase();
  if (key === undefined || !KEYS.has(key)) {
    if (split && split[2] !== "") {
      throw new FilterError(`no key "${key}"; there are ${FILTER_KEYS.join(", ")}`);
    }
    return anyTest(word.toLowerCase(), prepared);
  }
  const tests = split![2]!.split(",").map((value) => keyTest(key, value.toLowerCase(), prepared));
  return tests.length === 1 ? tests[0]! : (row) => tests.some((test) => test(row));
}

function keyTest(key: string, value: string, { rows, gap }: Prepared): RowTest {
  const { reasons, accesses, addresses, rips } = rows.tables;
  if (value === "") throw new FilterError(`${key}= needs a value`);
  switch (key) {
    case "reason":
      return byIndex(rows.reason, reasons, ({ name }) => name.toLowerCase() === value);
    case "dir":
      return byIndex(rows.access, accesses, ({ direction }) => direction === value);
    case "dev":
      return byIndex(rows.access, accesses, ({ device }) => device.toLowerCase() === value);
    case "port":
    case "gpa":
    case "msr": {
      const span = spanOf(value, integer);
      const fits = mask(addresses, (address, i) => i > 0 && within(address, span));
      const space = mask(reasons, ({ name }) => spaceOf(name) === key);
      return (row) => space[rows.reason[row]!] === 1 && fits[rows.address[row]!] === 1;
    }
    case "rip": {
      const span = spanOf(value, integer);
      return byIndex(rows.rip, rips, (rip, i) => i > 0 && within(rip, span));
    }
    case "cpu":
    case "n": {
      const span = spanOf(value, (text) => Number(integer(text)));
      const column = key === "cpu" ? rows.cpu : rows.n;
      return (row) => within(column[row]!, span);
    }
    case "t":
    case "gap": {
      const span = spanOf(value, duration);
      const column = key === "t" ? rows.time : gap;
      return (row) => column[row]! >= 0 && within(column[row]!, span);
    }
    default: {
      if (!/^(?:[0-9a-f]{2})+$/.test(value)) {
        throw new FilterError(`data=${value}: bytes are two hexadecimal digits each`);
      }
      const bytes = value.match(/../g)!.map((digits) => parseInt(digits, 16));
      return (row) => includes(dataOf(rows, row), bytes);
    }
  }
}

/** A word without a key: part of any name that the row shows. */
function anyTest(word: string, { rows }: Prepared): RowTest {
  const { reasons, accesses, addresses, notes } = rows.tables;
  const has = (text: string): boolean => text.toLowerCase().includes(word);
  const reason = mask(reasons, ({ name }) => has(name));
  const access = mask(accesses, ({ direction, device }) => direction === word || has(device));
  const port = mask(
    addresses,
    (address, i) => i > 0 && address < 0x10000n && has(portName(Number(address)) ?? ""),
  );
  const isPort = mask(reasons, ({ name }) => spaceOf(name) === "port");
  const note = mask(notes, has);
  return (row) =>
    reason[rows.reason[row]!] === 1 || access[rows.access[row]!] === 1 ||
    note[rows.note[row]!] === 1 ||
    (isPort[rows.reason[row]!] === 1 && port[rows.address[row]!] === 1);
}

function mask<T>(table: readonly T[], wanted: (value: T, index: number) => boolean): Uint8Array {
  return Uint8Array.from(table, (value, i) => wanted(value, i) ? 1 : 0);
}

function byIndex<T>(
  column: Uint32Array | Uint16Array,
  table: readonly T[],
  wanted: (value: T, index: number) => boolean,
): RowTest {
  const fits = mask(table, wanted);
  return (row) => fits[column[row]!] === 1;
}

function within<T extends number | bigint>(value: T, { least, most }: Span<T>): boolean {
  return (least === undefined || value >= least) && (most === undefined || value <= most);
}

function spanOf<T>(text: string, read: (text: string) => T): Span<T> {
  const at = text.indexOf("..");
  if (at < 0) {
    const value = read(text);
    return { least: value, most: value };
  }
  const [least, most] = [text.slice(0, at), text.slice(at + 2)];
  return {
    least: least === "" ? undefined : read(least),
    most: most === "" ? undefined : read(most),
  };
}

function integer(text: string): bigint {
  if (!/^(?:0x[0-9a-f]{1,16}|\d{1,20})$/.test(text)) {
    throw new FilterError(`"${text}" is not a number; 16 and 0x10 are`);
  }
  return BigInt(text);
}

function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(us|µs|ms|s)$/.exec(text) ?? [];
  if (number === undefined) throw new FilterError(`"${text}" is not a time; 5us, 1.5ms and 2s are`);
  return Math.round(Number(number) * TENTHS[unit!]!);
}

function includes(bytes: Uint8Array, wanted: readonly number[]): boolean {
  for (let at = 0; at + wanted.length <= bytes.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return true;
  }
  return false;
}
