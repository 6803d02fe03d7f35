import { assertEquals } from "@std/assert";
import { decodeLosslessly, escapeJson, quoted, visible } from "../../src/testing/visible.ts";

Deno.test("control characters have pictures, blanks at the end too", () => {
  assertEquals(visible("\x00\t\r\x1b[2Jü\x7f  "), "␀␉␍␛[2Jü␡␠␠");
  assertEquals(visible("a b"), "a b");
});

Deno.test("what cannot be seen or turns a line around is shown by its number", () => {
  assertEquals(
    visible("\x9b31m\u202e\u200b\u2028\ufeff"),
    "\\x9b31m\\u{202e}\\u{200b}\\u{2028}\\u{feff}",
  );
});

Deno.test("bytes that are not UTF-8 are marked, all others are text", () => {
  const text = (...bytes: number[]) => visible(decodeLosslessly(new Uint8Array(bytes)));
  assertEquals(text(0x61, 0xff, 0xc3, 0xbc, 0xc3), "a\\xffü\\xc3");
  assertEquals(text(0xed, 0xa0, 0x80), "\\xed\\xa0\\x80", "a surrogate is not UTF-8");
  assertEquals(text(0xef, 0xbb, 0xbf, 0x61), "\\u{feff}a", "a byte order mark counts");
  assertEquals(text(0xff, 0xf0, 0x9f, 0x98, 0x80), "\\xff😀");
});

Deno.test("quoted text and JSON are read as what they were", () => {
  const text = "\x1b\x7f\x9b\u202e\u{e0001}\n";
  for (const json of [quoted(text), escapeJson(JSON.stringify(text))]) {
    assertEquals(JSON.parse(json), text);
    assertEquals(/[\p{Cc}\p{Cf}]/u.test(json), false, json);
  }
});
