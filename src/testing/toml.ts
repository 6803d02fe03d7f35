/**
 * Parses TOML and keeps the position of every key and value, so that problems can name their place.
 *
 * @module
 */

import { type AST, getStaticTOMLValue, ParseError, parseTOML } from "toml-eslint-parser";
import { type Position, TestFileError } from "./position.ts";
import { checkLimits } from "./toml_limits.ts";

/** A parsed file. */
export interface TomlFile {
  readonly value: Record<string, unknown>;
  /**
   * The position of a key or an item.
   *
   * @param pointer a JSON pointer: `/test/0/name`; for one that is not in the file, that of
   *   the innermost table or array around it
   */
  locate(pointer: string): Position;
}

/**
 * Reads a file.
 *
 * @param path what errors call it
 * @throws {TestFileError} for text that is not TOML
 *
 * @example
 * ```ts
 * import { readToml } from "./toml.ts";
 * const { value, locate } = readToml("a.toml", "[[test]]\n  name = 'x'\n");
 * console.log(value, locate("/test/0/name")); // { test: [{ name: "x" }] } { line: 2, column: 3 }
 * ```
 */
export function readToml(path: string, text: string): TomlFile {
  checkLimits(path, text);
  const program = parse(path, text);
  const places = placesOf(program);
  return {
    value: getStaticTOMLValue(program) as Record<string, unknown>,
    locate(pointer) {
      for (let at = pointer; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
        const place = places.get(at);
        if (place) return place;
      }
      return { line: 1, column: 1 };
    },
  };
}

function parse(path: string, text: string): AST.TOMLProgram {
  const problem = (at: Position, message: string) => new TestFileError([{ path, at, message }]);
  try {
    return parseTOML(text);
  } catch (error) {
    if (error instanceof ParseError) {
      throw problem({ line: error.lineNumber, column: error.column + 1 }, error.message);
    }
    // The parser takes a string's characters as arguments of a call.
    if (error instanceof RangeError) {
      throw problem({ line: 1, column: 1 }, "a string is too long to be read");
    }
    throw error;
  }
}

/** A key's pointer below another's (RFC 6901). */
export function pointerTo(parent: string, key: string | number): string {
  return `${parent}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function placesOf(program: AST.TOMLProgram): Map<string, Position> {
  const places = new Map<string, Position>();
  const note = (pointer: string, node: AST.TOMLNode): void => {
    // A table in several parts is at its first one.
    if (places.has(pointer)) return;
    places.set(pointer, { line: node.loc.start.line, column: node.loc.start.column + 1 });
  };
  const keyName = (key: AST.TOMLBare | AST.TOMLQuoted): string =>
    key.type === "TOMLBare" ? key.name : key.value;
  const visitPairs = (parent: string, pairs: readonly AST.TOMLKeyValue[]): void => {
    for (const { key, value } of pairs) {
      let pointer = parent;
      for (const part of key.keys) note(pointer = pointerTo(pointer, keyName(part)), part);
      visit(pointer, value);
    }
  };
  const visit = (pointer: string, node: AST.TOMLContentNode): void => {
    if (node.type === "TOMLInlineTable") visitPairs(pointer, node.body);
    if (node.type !== "TOMLArray") return;
    node.elements.forEach((element, i) => {
      note(pointerTo(pointer, i), element);
      visit(pointerTo(pointer, i), element);
    });
  };
  for (const node of program.body[0].body) {
    if (node.type === "TOMLKeyValue") {
      visitPairs("", [node]);
      continue;
    }
    let pointer = "";
    for (const key of node.resolvedKey) note(pointer = pointerTo(pointer, key), node);
    visitPairs(pointer, node.body);
  }
  return places;
}
