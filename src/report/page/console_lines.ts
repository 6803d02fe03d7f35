/**
 * Splits console output into the lines that the page shows.
 *
 * @module
 */

import type { ConsoleOutput } from "../rows.ts";

/** One line: bytes of one device. */
export interface ConsoleLine {
  /** The bytes by their places in the output: those of other devices lie between. */
  readonly places: Uint32Array;
  /** An index into the output's devices. */
  readonly device: number;
}

const NEWLINE = 0x0a;
const ESCAPE = 0x1b;
/** Longer lines are wrapped. */
const MAX_BYTES = 512;
/** Control characters have pictures in Unicode from here on. */
const PICTURES = 0x2400;
const DELETE = 0x7f;

/**
 * The lines of an output, in the order in which they began.
 *
 * @example
 * ```ts
 * import { consoleLines } from "./console_lines.ts";
 * const bytes = new TextEncoder().encode("a\nb");
 * const row = new Uint32Array(3);
 * const output = { bytes, row, device: new Uint8Array(3), devices: ["uart0"] };
 * console.log(consoleLines(output).length); // 2
 * ```
 */
export function consoleLines({ bytes, device, devices }: ConsoleOutput): ConsoleLine[] {
  const lines: { places: number[]; device: number }[] = [];
  const open: ({ places: number[]; device: number } | undefined)[] = devices.map(() => undefined);
  for (let at = 0; at < bytes.length; at++) {
    const from = device[at]!;
    let line = open[from];
    if (!line) lines.push(open[from] = line = { places: [], device: from });
    line.places.push(at);
    if (bytes[at] === NEWLINE || line.places.length >= MAX_BYTES) open[from] = undefined;
  }
  return lines.map(({ places, device }) => ({ places: Uint32Array.from(places), device }));
}

/** The last line that has begun when a row has happened; -1 if there is none. */
export function lineAt({ row }: ConsoleOutput, lines: readonly ConsoleLine[], at: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (row[lines[middle]!.places[0]!]! <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Bytes as text: UTF-8 without terminal control sequences, other control
 * characters as their pictures.
 */
export function consoleText(bytes: Uint8Array): string {
  let text = "";
  const decoded = new TextDecoder().decode(bytes);
  for (let i = 0; i < decoded.length; i++) {
    const code = decoded.charCodeAt(i);
    if (code === ESCAPE) {
      // A control sequence (ECMA-48): CSI, parameters, a final byte.
      const sequence = /^\[[0-?]*[ -/]*[@-~]/.exec(decoded.slice(i + 1, i + 32));
      if (sequence) {
        i += sequence[0].length;
        continue;
      }
    }
    if (code === 0x0a || code === 0x0d) continue;
    if (code === 0x09) text += "    ";
    else if (code < 0x20) text += String.fromCharCode(PICTURES + code);
    else if (code === DELETE) text += "\u2421";
    else text += decoded[i];
  }
  return text;
}
