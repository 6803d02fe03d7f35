/**
 * Makes a guest's output safe to print: control and invisible characters become visible ones.
 * Reports pass all text through here that is not their own.
 *
 * @module
 */

const SPACE = 0x20;
const DELETE = 0x7f;
/** Unicode has pictures of the C0 control characters and of the space: `␍`, `␠`. */
const PICTURES = 0x2400;
const PICTURE_OF_DELETE = "\u2421";

/** Control and format characters, surrogates, private and unassigned ones, odd line ends. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const TRAILING_BLANKS = / +$/;

/**
 * One line with everything in it visible.
 *
 * @example
 * ```ts
 * import { visible } from "./visible.ts";
 * console.log(visible("\x1b[2Jone \r")); // "␛[2Jone ␍"
 * ```
 */
export function visible(line: string): string {
  return line.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0)!;
    if (code < SPACE) return String.fromCharCode(PICTURES + code);
    if (code === DELETE) return PICTURE_OF_DELETE;
    // An undecodable byte, as decodeLine has it.
    if (code >= LONE && code <= LONE + 0xff) return `\\x${(code - LONE).toString(16)}`;
    return code <= 0xff ? `\\x${code.toString(16)}` : `\\u{${code.toString(16)}}`;
  }).replace(
    TRAILING_BLANKS,
    (blanks) => String.fromCharCode(PICTURES + SPACE).repeat(blanks.length),
  );
}

/** Several lines, of which the ends stay. */
export function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}

/** A text in quotes, on one line, with nothing in it that a terminal obeys. */
export function quoted(text: string): string {
  return escapeJson(JSON.stringify(text));
}

/** JSON without characters that a terminal obeys, which it may have in strings. */
export function escapeJson(json: string): string {
  return json.replace(UNSEEN, (character) => character.split("").map(escapeUnit).join(""));
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Lone surrogates stand for bytes that are not UTF-8. */
const LONE = 0xdc00;

/** UTF-8 without losses: a byte that is not valid becomes a lone surrogate. */
export function decodeLosslessly(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return decodeByParts(bytes);
  }
}

/** Well-formed sequences of several bytes (Unicode, table 3-7), in a string of bytes. */
const SEQUENCE =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g;

function decodeByParts(bytes: Uint8Array): string {
  // Windows-1252 is what the Encoding Standard calls latin1: bytes are made characters by hand.
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  const decoder = new TextDecoder();
  return text.replace(
    SEQUENCE,
    (sequence) =>
      sequence.length === 1
        ? String.fromCharCode(LONE + sequence.charCodeAt(0))
        : decoder.decode(Uint8Array.from(sequence, (byte) => byte.charCodeAt(0))),
  );
}
