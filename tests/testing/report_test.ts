/**
 * The reports in every format.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ProgressLine } from "../../src/testing/progress.ts";
import type { Reporter } from "../../src/testing/report.ts";
import { humanReporter } from "../../src/testing/report_human.ts";
import { jsonReporter } from "../../src/testing/report_json.ts";
import { junitReporter } from "../../src/testing/report_junit.ts";
import { tapReporter } from "../../src/testing/report_tap.ts";
import { summarize, type TestResult } from "../../src/testing/run_result.ts";
import { processSummary, testCase, testResult } from "../lib/testing.ts";

const RESULTS: readonly TestResult[] = [
  testResult({ attempts: 2 }),
  testResult({
    test: testCase({ name: "# <b> & \\ \u0001" }),
    status: "failed",
    failures: [
      { what: "exit", expected: "3", actual: '0 ("halt")' },
      { what: "stdout", expected: '"a"', actual: '"b"', diff: "--- e\n+++ a\n-a\n+b" },
    ],
    lastExits: ["#1 HLT"],
    artefacts: "/tmp/x",
    process: processSummary("b\x00\ud800"),
  }),
  testResult({ test: testCase({ name: "s" }), status: "skipped", reason: "no KVM # here" }),
  testResult({
    test: testCase({ name: "unit", file: "unittests.cfg", untranslated: ["-cpu max"] }),
    guestReports: [{ status: "pass", text: "one" }, { status: "skip", text: "two" }],
  }),
  testResult({ status: "not_run", reason: "the suite was ended" }),
];

function report(reporter: Reporter, results = RESULTS): string {
  const end = reporter.end.bind(reporter);
  return reporter.begin(results.length) + results.map((each) => reporter.result(each)).join("") +
    end(summarize(results, 1500));
}

Deno.test("the terminal shows failures in full, and the rest in numbers", () => {
  const text = report(humanReporter({ color: false, verbose: false }));
  assertEquals(
    text,
    `PASS a test (12 ms, passed at attempt 2)
FAIL # <b> & \\ ␁ (dir/a.toml:3)
  exit
    expected  3
    actual    0 ("halt")
  stdout
    --- e
    +++ a
    -a
    +b
  the last exits, of a run with the trace on
    #1 HLT
  repeat    (cd /dir && vmexit run guest.elf)
  artefacts /tmp/x
SKIP s: no KVM # here
PASS unit (12 ms, 2 parts: 1 passed, 0 failed, 1 skipped)
Options without an equivalent here, left out, with the number of tests:
     1  -cpu max
2 passed, 1 failed, 1 skipped, 1 not run, 1 flaky in 1.5 s
`,
  );
});

Deno.test("a suite that passes is one line, unless more is asked for", () => {
  const results = [testResult()];
  assertEquals(
    report(humanReporter({ color: false, verbose: false }), results),
    "1 passed, 0 failed in 1.5 s\n",
  );
  const colored = report(humanReporter({ color: true, verbose: true }), results);
  assert(colored.startsWith("\x1b[32mPASS\x1b[0m a test"), colored);
});

Deno.test("TAP has a plan, a line for each test, subtests and YAML for failures", () => {
  const text = report(tapReporter());
  const lines = text.split("\n");
  assertEquals(lines.slice(0, 3), ["TAP version 14", "1..5", "ok 1 - a test"]);
  assert(lines.includes("not ok 2 - \\# <b> & \\\\ ␁"), text);
  assert(lines.includes("ok 3 - s # SKIP no KVM \\# here"), text);
  assert(lines.includes("ok 5 - a test # SKIP the suite was ended"), text);
  assertStringIncludes(
    text,
    "# left out: -cpu max\n# Subtest: unit\n    ok 1 - one\n    ok 2 - two # SKIP\n    1..2\nok 4 - unit\n",
  );
  assertStringIncludes(text, '      actual: "0 (\\"halt\\")"\n');
  assertStringIncludes(text, '  last_exits:\n    - "#1 HLT"\n');
});

Deno.test("JUnit's XML is well formed, whatever a guest prints, and has the numbers", () => {
  const text = report(junitReporter());
  assertStringIncludes(
    text,
    '<testsuites name="vmexit" tests="5" failures="1" errors="0" skipped="2"',
  );
  assertStringIncludes(text, '<testsuite name="unittests.cfg" tests="1" failures="0"');
  assertStringIncludes(text, 'name="# &lt;b&gt; &amp; \\ \ufffd"');
  assertStringIncludes(text, "<system-out>b\ufffd");
  assertStringIncludes(text, '<property name="left out" value="-cpu max"/>');
  const open: string[] = [];
  for (const [, end, name, rest] of text.matchAll(/<(\/?)([\w-]+)([^<>]*)>/g)) {
    if (end) assertEquals(open.pop(), name);
    else if (!rest!.endsWith("/")) open.push(name!);
  }
  assertEquals(open, []);
  // deno-lint-ignore no-control-regex -- those are what XML cannot have
  assertEquals(/[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]/.test(text), false);
});

Deno.test("JSON has a record for each test and one for all", () => {
  const records = report(jsonReporter()).trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(records.map(({ type, status }) => status ?? type), [
    "passed",
    "failed",
    "skipped",
    "passed",
    "not_run",
    "summary",
  ]);
  assertEquals([records[1].exit_code, records[1].outcome], [0, "halt"]);
  assertEquals(records[3].left_out, ["-cpu max"]);
  const { passed, failed, skipped, not_run, flaky } = records[5];
  assertEquals([passed, failed, skipped, not_run, flaky], [2, 1, 1, 1, 1]);
});

Deno.test("repeated tests have statistics", () => {
  const results = [10, 40, 20, 30].map((durationMs, i) =>
    testResult({
      run: i + 1,
      runs: 4,
      durationMs,
      status: i === 1 ? "failed" : "passed",
      process: processSummary(),
    })
  );
  assertEquals(summarize(results, 1).statistics, [{
    name: "a test",
    file: "dir/a.toml",
    runs: 4,
    failed: 1,
    minMs: 10,
    medianMs: 25,
    maxMs: 40,
  }]);
  assertStringIncludes(
    report(humanReporter({ color: false, verbose: false }), results),
    "a test: 1 of 4 runs failed (25.0 %); 10 / 25 / 40 ms",
  );
});

Deno.test("the progress line tells what is done, what has failed and what runs, in its width", () => {
  const line = new ProgressLine(3, () => 30);
  const [one, two] = ["first", "second test with a long name"].map((name) => ({
    test: testCase({ name }),
    run: 1,
    runs: 1,
  }));
  line.started(one!);
  assertEquals(line.draw(), "\r\x1b[K[0/3] first");
  line.started(two!);
  line.finished(testResult({ ...one!, status: "failed" }));
  assertEquals(line.draw(), "\r\x1b[K[1/3, 1 failed] second test w");
});
