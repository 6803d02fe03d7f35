import { assertEquals } from "@std/assert";
import { guestReports, judgeUnitTest } from "../../src/testing/kvm_unit_tests.ts";
import { processResult, testCase } from "../lib/testing.ts";

const OUTPUT = "enabling apic\nPASS: one\r\nFAIL: two: three\nSKIP: four\nXFAIL: five\n" +
  "  PASS: not at the line's beginning\nNOTE: six\nSUMMARY: 4 tests\n";

Deno.test("the verdicts of a guest are read from its output", () => {
  assertEquals(guestReports(OUTPUT), [
    { status: "pass", text: "one" },
    { status: "fail", text: "two: three" },
    { status: "skip", text: "four" },
    { status: "pass", text: "XFAIL: five" },
  ]);
});

for (
  const [code, status, actual] of [
    [1, "passed", undefined],
    [77, "skipped", undefined],
    [3, "failed", "3 (1 parts failed)\nFAIL: two: three"],
    [127, "failed", "127 (the guest gave up)\nFAIL: two: three"],
    [124, "failed", "124 (timeout after 1000 ms)\nFAIL: two: three"],
    [0, "failed", "0 (guest halted (HLT))\nFAIL: two: three"],
    [155, "failed", "155 (guest halted (HLT))\nFAIL: two: three"],
  ] as const
) {
  Deno.test(`exit code ${code} of a unit test means ${status}`, () => {
    const verdict = judgeUnitTest(testCase(), processResult(OUTPUT, { code }));
    assertEquals([verdict.status, verdict.failures[0]?.actual], [status, actual]);
    assertEquals(verdict.guestReports.length, 4);
  });
}

Deno.test("a unit test that is skipped says why", () => {
  const skipped = judgeUnitTest(testCase(), processResult("SKIP: no VMX\n", { code: 77 }));
  assertEquals(skipped.reason, "no VMX");
});
