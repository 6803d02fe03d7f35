import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { outputFailures } from "../../src/testing/output_check.ts";
import type { OutputExpectation } from "../../src/testing/test_case.ts";

const NOTHING: OutputExpectation = { contains: [], regex: [], inOrder: [], never: [] };

async function broken(output: string, expect: Partial<OutputExpectation>, golden?: string) {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const content = golden === undefined ? undefined : bytes(golden);
  return await outputFailures(bytes(output), { ...NOTHING, ...expect }, content, 1000);
}

Deno.test("output that fits breaks nothing", async () => {
  const expect = {
    exact: "one\ntwo\n",
    contains: ["one", "two"],
    regex: [/^two$/m],
    inOrder: ["o", "o", "\n"],
    never: ["three"],
  };
  assertEquals(await broken("one\ntwo\n", expect), []);
});

Deno.test("each expectation that is broken says so", async () => {
  const failures = await broken("one\n", {
    contains: ["two"],
    regex: [/^n/m],
    inOrder: ["n", "o"],
    never: ["one"],
  });
  assertEquals(failures.map(({ what, expected }) => [what, expected]), [
    ["stdout contains", '"two"'],
    ["stdout regex", "/^n/m"],
    ["stdout never", 'no "one"'],
    ["stdout in_order", '"o" after "n"'],
  ]);
  assertEquals(failures[0]!.actual, '"one\\n"');
});

Deno.test("a pattern that backtracks without end is ended, and that is the failure", async () => {
  const start = performance.now();
  const failures = await broken("a".repeat(30_000), { regex: [/^(a+)+$/, /(a+)+!/, /a/, /b/] });
  assertLess(performance.now() - start, 10_000);
  assertEquals(failures.map(({ what, expected }) => [what, expected]), [
    ["stdout regex", "/(a+)+!/"],
    ["stdout regex", "/b/"],
  ]);
  assertStringIncludes(failures[0]!.actual, "no answer within 1000 ms");
  const [short] = await broken("a".repeat(40), { regex: [/(a+)+!/] });
  assertStringIncludes(short!.actual, "no answer within 1000 ms");
});

Deno.test("other output than the exact one is shown as a difference", async () => {
  const [failure] = await broken("a\nb\nc\n", { exact: "a\nx\nc\n" });
  assertEquals(failure!.diff, "--- expected\n+++ actual\n@@ -1,3 +1,3 @@\n a\n-x\n+b\n c");
});

Deno.test("a difference of many lines is shown in part", async () => {
  const [failure] = await broken("a\n".repeat(500), { exact: "b\n".repeat(500) });
  const lines = failure!.diff!.split("\n");
  assertEquals(lines.length, 61);
  assertStringIncludes(lines.at(-1)!, "more lines");
});

Deno.test("a golden file has to be there, and to be the same", async () => {
  assertEquals(await broken("a", { golden: "/x" }, "a"), []);
  assertEquals((await broken("a", { golden: "/x" }, "b")).length, 1);
  const [missing] = await broken("a", { golden: "/x" });
  assertStringIncludes(missing!.expected, "--update writes it");
});
