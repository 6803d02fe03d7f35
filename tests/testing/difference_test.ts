import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { difference } from "../../src/testing/difference.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function lines(expected: string, actual: string): Promise<string[]> {
  const [head, other, ...rest] = (await difference(bytes(expected), bytes(actual))).split("\n");
  assertEquals([head, other], ["--- expected", "+++ actual"]);
  return rest;
}

/** Milliseconds that a difference takes, and its lines. */
async function timed(expected: string, actual: string): Promise<[number, string[]]> {
  const start = performance.now();
  const found = await lines(expected, actual);
  return [performance.now() - start, found];
}

const NUMBERED = Array.from({ length: 4000 }, (_, i) => `line ${i + 1}\n`);

Deno.test("what a terminal does not show is shown", async () => {
  assertEquals(await lines("one\n", "one\r\n"), ["@@ -1,1 +1,1 @@", "-one", "+one␍"]);
  assertEquals((await lines("a \n", "a\n")).slice(1), ["-a␠", "+a"]);
  assertEquals((await lines("a\tb\n", "a b\n")).slice(1), ["-a␉b", "+a b"]);
  assertEquals((await lines("a\n", "a")).slice(1), ["-a", "+a", "\\ No newline at end of file"]);
  assertEquals((await lines("", "\x1b[2J\n")).slice(0, 2), ["@@ -0,0 +1,1 @@", "+␛[2J"]);
});

Deno.test("bytes that are not UTF-8 are different though no text is", async () => {
  const diff = await difference(new Uint8Array([0xff, 10]), new Uint8Array([0xfe, 10]));
  assertEquals(diff.split("\n").slice(3), ["-\\xff", "+\\xfe"]);
});

Deno.test("a change far into a long output has its line numbers and its surroundings", async () => {
  const changed = NUMBERED.with(1999, "other\n").toSpliced(2020, 1);
  const found = await lines(NUMBERED.join(""), changed.join(""));
  assertEquals(found.slice(0, 9), [
    "@@ -1997,7 +1997,7 @@",
    " line 1997",
    " line 1998",
    " line 1999",
    "-line 2000",
    "+other",
    " line 2001",
    " line 2002",
    " line 2003",
  ]);
  assertStringIncludes(found[9]!, "@@ -2018,7 +2018,6 @@");
  assert(found.includes("-line 2021"));
  assertEquals(found.at(-1), "... and maybe more");
});

Deno.test("outputs that have nothing in common take no longer, and both are shown", async () => {
  const [ms, found] = await timed(NUMBERED.join(""), "other\n".repeat(4000));
  assertLess(ms, 1000);
  assertLess(found.length, 62);
  assertEquals(found.filter((line) => line.startsWith("-")).length > 10, true);
  assertEquals(found.filter((line) => line.startsWith("+")).length > 10, true);
});

Deno.test("of long lines the part is shown in which they differ", async () => {
  const [long, end] = ["x".repeat(3_000_000), "z".repeat(1000)];
  const [ms, found] = await timed(`${long}A${end}\n`, `${long}B${end}\n`);
  assertLess(ms, 1000);
  assertLess(found.join("").length, 1000);
  assertStringIncludes(found[1]!, "xxA");
  assertStringIncludes(found[2]!, "xxB");
});

Deno.test("millions of empty lines are no millions of strings", async () => {
  const empty = "\n".repeat(4_000_000);
  const [ms, found] = await timed(empty, empty + "x");
  assertLess(ms, 2000);
  assertEquals(found.at(-2), "+x");
});
