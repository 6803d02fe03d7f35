/**
 * Exits, times and numbers as the page shows them.
 *
 * @module
 */

import { portName } from "../../exits/port_names.ts";
import { hex } from "../../hex.ts";
import { dataOf, type Rows, spaceOf } from "../rows.ts";

/** Units of time by how many tenths of a microsecond they have. */
const UNITS = [
  { name: "s", tenths: 1e7 },
  { name: "ms", tenths: 1e4 },
  { name: "µs", tenths: 10 },
] as const;
const WIDE_SPACE = "\u2009";

/** A count with its thousands set apart: `12 345`. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, WIDE_SPACE);
}

/**
 * A duration, given in tenths of a microsecond, in the unit that suits it.
 *
 * @example
 * ```ts
 * import { durationText } from "./format.ts";
 * console.log(durationText(123_456)); // "12.3 ms"
 * ```
 */
export function durationText(tenths: number, digits = 3): string {
  const size = Math.abs(tenths);
  const unit = UNITS.find((each) => size >= each.tenths) ?? UNITS[2];
  const value = tenths / unit.tenths;
  const fraction = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return `${trim(value.toFixed(Math.min(fraction, 6)))} ${unit.name}`;
}

function trim(number: string): string {
  return number.includes(".") ? number.replace(/\.?0+$/, "") : number;
}

/** A point in time as the table shows it, in milliseconds: `12.3456`. */
export function timeText(tenths: number): string {
  return (tenths / 1e4).toFixed(4);
}

/** A time on an axis, exact enough to tell it from its neighbour. */
export function tickText(tenths: number, step: number): string {
  const unit = UNITS.find((each) => Math.max(tenths, step) >= each.tenths) ?? UNITS[2];
  const decimals = Math.max(0, -Math.floor(Math.log10(step / unit.tenths) + 1e-9));
  return `${(tenths / unit.tenths).toFixed(Math.min(decimals, 6))} ${unit.name}`;
}

/** A size in bytes: `16 MiB`. */
export function bytesText(bytes: bigint): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${trim(value.toFixed(value < 10 ? 2 : 1))} ${units[unit]}`;
}

/** A port with the name that it has on a PC. */
export function portText(port: bigint): string {
  const name = portName(Number(port));
  return name === undefined ? hex(port) : `${hex(port)} ${name}`;
}

/** What an exit accessed: `port 0x3f8 COM1`; empty where it accessed nothing. */
export function addressText(rows: Rows, row: number): string {
  const index = rows.address[row]!;
  if (index === 0) return "";
  const address = rows.tables.addresses[index]!;
  switch (spaceOf(rows.tables.reasons[rows.reason[row]!]!.name)) {
    case "port":
      return portText(address);
    case "msr":
      return `msr ${hex(address)}`;
    default:
      return hex(address);
  }
}

/** How an exit accessed it: `out 1`, `in 4×16`. */
export function accessText(rows: Rows, row: number): string {
  const { direction, size, count } = rows.tables.accesses[rows.access[row]!]!;
  return `${direction}${size > 0 ? ` ${size}` : ""}${count > 1 ? `×${count}` : ""}`;
}

/** The bytes that went over: `48 'H'`. */
export function dataText(rows: Rows, row: number): string {
  const bytes = dataOf(rows, row);
  const { size, count } = rows.tables.accesses[rows.access[row]!]!;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const printable = bytes.length > 0 && bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  const text = printable ? ` '${String.fromCharCode(...bytes)}'` : "";
  return digits + (size * count > bytes.length && bytes.length > 0 ? " …" : "") + text;
}

/** RIP; empty where KVM did not tell it. */
export function ripText(rows: Rows, row: number): string {
  const index = rows.rip[row]!;
  return index === 0 ? "" : hex(rows.tables.rips[index]!);
}
