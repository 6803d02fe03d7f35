import { assertEquals, assertThrows } from "@std/assert";
import { TestFileError } from "../../src/testing/position.ts";
import { pointerTo, readToml } from "../../src/testing/toml.ts";

const TEXT = `top = 1
[[test]]
name = "a"
  matrix = { cpus = [1, 2],
    memory = ["16M"] }
stdout.contains = "x"

[[test]]
"image" = 'y'
[test.stdout]
never = ["a", "b"]
`;

Deno.test("every key and item has its place, in tables of each kind", () => {
  const { value, locate } = readToml("a.toml", TEXT);
  assertEquals(value, {
    top: 1,
    test: [
      { name: "a", matrix: { cpus: [1, 2], memory: ["16M"] }, stdout: { contains: "x" } },
      { image: "y", stdout: { never: ["a", "b"] } },
    ],
  });
  const places: [string, number, number][] = [
    ["/top", 1, 1],
    ["/test/0", 2, 1],
    ["/test/0/name", 3, 1],
    ["/test/0/matrix", 4, 3],
    ["/test/0/matrix/cpus", 4, 14],
    ["/test/0/matrix/cpus/1", 4, 25],
    ["/test/0/matrix/memory", 5, 5],
    ["/test/0/stdout", 6, 1],
    ["/test/0/stdout/contains", 6, 8],
    ["/test/1", 8, 1],
    ["/test/1/image", 9, 1],
    ["/test/1/stdout", 10, 1],
    ["/test/1/stdout/never/1", 11, 15],
  ];
  for (const [pointer, line, column] of places) {
    assertEquals(locate(pointer), { line, column }, pointer);
  }
});

Deno.test("a missing key has the position of the nearest table around it", () => {
  const { locate } = readToml("a.toml", TEXT);
  assertEquals(locate("/test/0/matrix/boot"), { line: 4, column: 3 });
  assertEquals(locate("/test/1/name"), { line: 8, column: 1 });
  assertEquals(locate("/nothing"), { line: 1, column: 1 });
});

Deno.test("a slash in a key is escaped in its pointer", () => {
  const { locate } = readToml("a.toml", '[a]\n"b/c~d" = 1\n');
  assertEquals(locate(pointerTo("/a", "b/c~d")), { line: 2, column: 1 });
});

Deno.test("a TOML syntax error has its place", () => {
  const error = assertThrows(() => readToml("dir/a.toml", "a = 1\nb = = 2\n"), TestFileError);
  assertEquals(error.message, "dir/a.toml:2:5: Unexpected token");
  assertThrows(() => readToml("a", "a = 1\na = 2"), TestFileError, "a:2:1: ");
});
