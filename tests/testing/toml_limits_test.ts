import { assertEquals, assertThrows } from "@std/assert";
import { TestFileError } from "../../src/testing/position.ts";
import { readToml } from "../../src/testing/toml.ts";

const DEPTH = 20_000;

for (
  const [what, text, place] of [
    ["an array", "a = 1\nb = " + "[".repeat(DEPTH) + "]".repeat(DEPTH), "2:69"],
    ["an array over lines", "a = " + "[\n".repeat(DEPTH) + "]\n".repeat(DEPTH), "65:1"],
    ["an inline table", "a = " + "{a=".repeat(DEPTH) + "1" + "}".repeat(DEPTH), "1:197"],
    ["a dotted key", "a.".repeat(1_000_000) + "a = 1", "1:128"],
    ["a heading", "[" + "a.".repeat(DEPTH) + "a]", "1:129"],
  ] as const
) {
  Deno.test(`${what} of any depth is refused with its place, at once`, () => {
    const error = assertThrows(() => readToml("x.toml", text), TestFileError);
    assertEquals(error.message, `x.toml:${place}: nested more than 64 levels deep`);
  });
}

Deno.test("a text of any length is refused, and so is a string", () => {
  const read = (length: number) => () => readToml("x.toml", `a = "${"x".repeat(length)}"`);
  assertThrows(read(9 << 20), TestFileError, "x.toml:1:1: a test file has at most 8 MiB");
  assertThrows(read(7 << 20), TestFileError, "x.toml:1:1: a string is too long");
});

Deno.test("brackets and dots in strings and comments are not nested", () => {
  const deep = "[.{".repeat(100);
  const text = `a = "${deep}\\" ${deep}" # ${deep}
b = '${deep}\\'
c = """
${deep} \\""" "
${deep}""" # ${deep}
d = '''${deep}
'''
e = [1.5, 1.5, ${"1.5, ".repeat(100)}]
f = [${"[],".repeat(100)}]
${"g.a = 1\nh.b = 2\n".replaceAll(/\n/g, "\n")}`;
  const { value } = readToml("x.toml", text);
  assertEquals(Object.keys(value), ["a", "b", "c", "d", "e", "f", "g", "h"]);
  assertEquals((value.e as number[]).length, 102);
});
