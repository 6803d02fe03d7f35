/**
 * How objects of the library look in `console.log`: their fields, with addresses and
 * registers in hexadecimal.
 *
 * @module
 */

import { hex } from "../hex.ts";

/** Deno's console asks the first, Node.js's `util.inspect` the second. */
const SYMBOLS = [Symbol.for("Deno.customInspect"), Symbol.for("nodejs.util.inspect.custom")];

/** The longest line. */
const WIDTH = 80;
/** How many bytes of an array are shown. */
const SHOWN_BYTES = 16;

/** Fields that are shown in hexadecimal although they are numbers. */
const HEX_FIELDS: ReadonlySet<string> = new Set([
  ...["port", "index", "selector", "limit", "type"],
  ...["fcw", "fsw", "ftw", "fop", "mxcsr", "sipi_vector", "flags"],
]);

/** How wide values are in {@linkcode fieldsText}. */
export interface Layout {
  readonly digits?: number;
  readonly keyWidth?: number;
}

/**
 * Sets how an object, or all of a class by its prototype, looks in `console.log`.
 *
 * @example
 * ```ts
 * import { showAs } from "./inspect.ts";
 * console.log(showAs({ gpa: 4096n }, ({ gpa }) => `GPA ${gpa}`)); // GPA 4096
 * ```
 */
export function showAs<T extends object>(target: T, show: (self: T) => string): T {
  function inspect(this: T): string {
    return show(this);
  }
  for (const symbol of SYMBOLS) {
    Object.defineProperty(target, symbol, { value: inspect, configurable: true });
  }
  return target;
}

/**
 * Fields and their values in braces: on one line if they fit, else on several.
 *
 * @param layout the least width of bigints, in digits, and of keys
 *
 * @example
 * ```ts
 * import { fieldsText } from "./inspect.ts";
 * console.log(fieldsText("Exit", { port: 0x3f8, size: 1 })); // Exit { port: 0x3f8, size: 1 }
 * ```
 */
export function fieldsText(name: string, fields: object, layout: Layout = {}): string {
  const { digits = 0, keyWidth = 0 } = layout;
  const head = name === "" ? "" : `${name} `;
  const items = Object.entries(fields)
    .filter(([key, value]) => value !== undefined && key !== "padding" && key !== "reserved")
    .map(([key, value]) => `${key.padStart(keyWidth)}: ${valueText(key, value, digits)}`);
  const line = `${head}{ ${items.join(", ")} }`;
  if (line.length <= WIDTH && !line.includes("\n")) return items.length > 0 ? line : `${head}{}`;
  return `${head}{\n${packed(items)}\n}`;
}

/** Fills lines; a field of several lines or parts begins on a new one. */
function packed(items: readonly string[]): string {
  const lines: string[] = [];
  let line = "";
  const flush = (): void => {
    if (line !== "") lines.push(line);
    line = "";
  };
  for (const item of items) {
    const alone = /^[^"]*[{[]|\n/.test(item);
    if (alone || line.length + item.length + 2 > WIDTH) flush();
    line += line === "" ? `  ${item.replaceAll("\n", "\n  ")},` : ` ${item},`;
    if (alone) flush();
  }
  flush();
  return lines.join("\n");
}

function valueText(key: string, value: unknown, digits: number): string {
  if (typeof value === "bigint") return `0x${value.toString(16).padStart(digits, "0")}`;
  if (typeof value === "number") return HEX_FIELDS.has(key) ? hex(value) : `${value}`;
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return bytesText(value);
  if (Array.isArray(value)) {
    return `[${value.map((item) => valueText(key, item, digits)).join(", ")}]`;
  }
  if (typeof value !== "object" || value === null) return String(value);
  const own = (value as Record<symbol, unknown>)[SYMBOLS[0]!];
  return typeof own === "function" ? own.call(value) : fieldsText("", value);
}

function bytesText(bytes: Uint8Array): string {
  const shown = Array.from(
    bytes.subarray(0, SHOWN_BYTES),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  if (bytes.length > SHOWN_BYTES) shown.push(`… ${bytes.length} bytes`);
  return `<${shown.join(" ")}>`;
}

/** A size with the largest unit that keeps it whole: `128M`. */
export function sizeText(sizeBytes: number): string {
  const units = ["", "K", "M", "G"];
  let unit = 0;
  for (; unit < units.length - 1 && sizeBytes % 1024 === 0; unit++) sizeBytes /= 1024;
  return `${sizeBytes}${units[unit]}`;
}
