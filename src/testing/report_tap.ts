/**
 * The report in the Test Anything Protocol, version 14.
 *
 * @module
 */

import type { Reporter } from "./report.ts";
import { resultName, type TestResult } from "./run_result.ts";
import { quoted, visible } from "./visible.ts";

/** Makes the report. */
export function tapReporter(): Reporter {
  let number = 0;
  return {
    begin: (count) => `TAP version 14\n1..${count}\n`,
    result: (result) => resultText(result, ++number),
    end: ({ statistics }) =>
      statistics.map(({ name, runs, failed, minMs, medianMs, maxMs }) =>
        comment(
          `${name}: ${failed} of ${runs} runs failed; ${minMs.toFixed(0)} / ` +
            `${medianMs.toFixed(0)} / ${maxMs.toFixed(0)} ms`,
        )
      ).join(""),
  };
}

function resultText(result: TestResult, number: number): string {
  const { status, reason, test, attempts, durationMs } = result;
  const name = escape(resultName(result));
  const notes = test.untranslated.map((option) => comment(`left out: ${option}`)).join("");
  if (status === "skipped" || status === "not_run") {
    return `${notes}ok ${number} - ${name} # SKIP ${escape(reason ?? status)}\n`;
  }
  const flaky = status === "passed" && attempts > 1 ? comment(`passed at attempt ${attempts}`) : "";
  const verdict = status === "passed" ? "ok" : "not ok";
  return `${notes}${subtest(result)}${verdict} ${number} - ${name}\n${flaky}` +
    (status === "failed" ? diagnosis(result) : `  ---\n  duration_ms: ${ms(durationMs)}\n  ...\n`);
}

/** The guest's own verdicts. */
function subtest(result: TestResult): string {
  const { guestReports } = result;
  if (guestReports.length === 0) return "";
  const lines = guestReports.map(({ status, text }, i) =>
    `    ${status === "fail" ? "not ok" : "ok"} ${i + 1} - ${escape(text)}` +
    (status === "skip" ? " # SKIP" : "") + "\n"
  );
  return `# Subtest: ${escape(resultName(result))}\n${lines.join("")}    1..${lines.length}\n`;
}

/** A YAML block; its strings are JSON, which is YAML. */
function diagnosis(result: TestResult): string {
  const { test, failures, lastExits, command, artefacts, durationMs } = result;
  const list = (name: string, items: readonly string[]): string[] =>
    items.length === 0 ? [] : [`${name}:`, ...items.map((item) => `  - ${quoted(item)}`)];
  const lines = [
    `duration_ms: ${ms(durationMs)}`,
    `at: ${quoted(`${test.file}:${test.line}`)}`,
    "failures:",
    ...failures.flatMap(({ what, expected, actual, diff }) => [
      `  - what: ${quoted(what)}`,
      `    expected: ${quoted(expected)}`,
      `    actual: ${quoted(actual)}`,
      ...(diff === undefined ? [] : [`    diff: ${quoted(diff)}`]),
    ]),
    ...list("last_exits", lastExits),
    `repeat: ${quoted(command)}`,
    ...(artefacts === undefined ? [] : [`artefacts: ${quoted(artefacts)}`]),
  ];
  return `  ---\n${lines.map((line) => `  ${line}\n`).join("")}  ...\n`;
}

function ms(milliseconds: number): string {
  return milliseconds.toFixed(1);
}

/** A description: one line, with the start of a directive escaped. */
function escape(text: string): string {
  return visible(text.replace(/[\\#]/g, "\\$&").replace(/\s+/g, " ").trimEnd());
}

function comment(text: string): string {
  return `# ${visible(text.replace(/\s+/g, " "))}\n`;
}
