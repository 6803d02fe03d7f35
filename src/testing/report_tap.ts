/**
 * The report in the Test Anything Protocol, version 14.
 *
 * @module
 */

import type { Reporter } from "./report.ts";
import { resultName, type TestResult } from "./run_result.ts";

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
    items.length === 0 ? [] : [`${name}:`, ...items.map((item) => `  - ${JSON.stringify(item)}`)];
  const lines = [
    `duration_ms: ${ms(durationMs)}`,
    `at: ${JSON.stringify(`${test.file}:${test.line}`)}`,
    "failures:",
    ...failures.flatMap(({ what, expected, actual, diff }) => [
      `  - what: ${JSON.stringify(what)}`,
      `    expected: ${JSON.stringify(expected)}`,
      `    actual: ${JSON.stringify(actual)}`,
      ...(diff === undefined ? [] : [`    diff: ${JSON.stringify(diff)}`]),
    ]),
    ...list("last_exits", lastExits),
    `repeat: ${JSON.stringify(command)}`,
    ...(artefacts === undefined ? [] : [`artefacts: ${JSON.stringify(artefacts)}`]),
  ];
  return `  ---\n${lines.map((line) => `  ${line}\n`).join("")}  ...\n`;
}

function ms(milliseconds: number): string {
  return milliseconds.toFixed(1);
}

/** A description: one line, with the start of a directive escaped. */
function escape(text: string): string {
  return text.replace(/[\\#]/g, "\\$&").replace(/\s+/g, " ");
}

function comment(text: string): string {
  return `# ${text.replace(/\s+/g, " ")}\n`;
}
