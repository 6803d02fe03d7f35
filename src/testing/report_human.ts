/**
 * The report for a terminal: failures in full, the rest in numbers.
 *
 * @module
 */

import type { Reporter } from "./report.ts";
import { type RepeatStatistics, resultName, type Summary, type TestResult } from "./run_result.ts";
import { visible, visibleLines } from "./visible.ts";

/** Terminal attributes, empty without colour. */
interface Colors {
  readonly good: string;
  readonly bad: string;
  readonly quiet: string;
  readonly off: string;
}

const COLORS: Colors = { good: "\x1b[32m", bad: "\x1b[31m", quiet: "\x1b[2m", off: "\x1b[0m" };
const PLAIN: Colors = { good: "", bad: "", quiet: "", off: "" };

/** How the report looks. */
export interface HumanOptions {
  readonly color: boolean;
  /** Also names the tests that passed. */
  readonly verbose: boolean;
}

/** Makes the report. */
export function humanReporter({ color, verbose }: HumanOptions): Reporter {
  const colors = color ? COLORS : PLAIN;
  const untranslated = new Map<string, number>();
  return {
    begin: () => "",
    result(result) {
      for (const each of result.test.untranslated) {
        untranslated.set(each, (untranslated.get(each) ?? 0) + 1);
      }
      return resultText(result, colors, verbose);
    },
    end: (summary) => untranslatedText(untranslated) + summaryText(summary, colors),
  };
}

function resultText(result: TestResult, colors: Colors, verbose: boolean): string {
  const { status, reason, attempts, guestReports, updated, durationMs } = result;
  const name = visible(resultName(result));
  switch (status) {
    case "failed":
      return failureText(result, colors);
    case "skipped":
      return `${colors.quiet}SKIP${colors.off} ${name}: ${visible(reason ?? "")}\n`;
    case "not_run":
      return verbose ? `${colors.quiet}----${colors.off} ${name}: not run\n` : "";
    case "passed": {
      const notes = [
        ...(attempts > 1 ? [`passed at attempt ${attempts}`] : []),
        ...(updated === undefined ? [] : [`wrote ${visible(updated)}`]),
        ...(guestReports.length === 0 ? [] : [guestSummary(result)]),
      ];
      if (!verbose && notes.length === 0) return "";
      return `${colors.good}PASS${colors.off} ${name} ` +
        `(${[`${durationMs.toFixed(0)} ms`, ...notes].join(", ")})\n`;
    }
  }
}

/** The guest's own verdicts, in numbers. */
function guestSummary({ guestReports }: TestResult): string {
  const count = (status: string): number =>
    guestReports.filter((report) => report.status === status).length;
  const parts = [`${count("pass")} passed`, `${count("fail")} failed`, `${count("skip")} skipped`];
  return `${guestReports.length} parts: ${parts.join(", ")}`;
}

function failureText(result: TestResult, colors: Colors): string {
  const { test, failures, lastExits, command, attempts, guestReports } = result;
  const lines = [
    `${colors.bad}FAIL${colors.off} ${
      visible(`${resultName(result)} (${test.file}:${test.line})`)
    }` +
    (attempts > 1 ? `, ${attempts} attempts` : ""),
  ];
  for (const { what, expected, actual, diff } of failures) {
    lines.push(`  ${what}`);
    if (diff === undefined) {
      lines.push(...indented(`expected  ${expected}`), ...indented(`actual    ${actual}`));
    } else {
      lines.push(...indented(diff).map((line) => colored(line, colors)));
    }
  }
  if (guestReports.length > 0) lines.push(`  ${guestSummary(result)}`);
  if (lastExits.length > 0) {
    lines.push("  the last exits, of a run with the trace on", ...indented(lastExits.join("\n")));
  }
  lines.push(`  repeat    ${visibleLines(command)}`);
  const { artefacts, artefactsProblem } = result;
  if (artefacts !== undefined) lines.push(`  artefacts ${visible(artefacts)}`);
  if (artefactsProblem !== undefined) lines.push(`  no artefacts: ${visible(artefactsProblem)}`);
  return lines.join("\n") + "\n";
}

function indented(text: string): string[] {
  return text.split("\n").map((line) => `    ${visible(line)}`);
}

/** A line of a diff, indented. */
function colored(line: string, { good, bad, off }: Colors): string {
  const color = { "+": bad, "-": good }[line.charAt(4)];
  return color === undefined ? line : `${line.slice(0, 4)}${color}${line.slice(4)}${off}`;
}

function untranslatedText(untranslated: ReadonlyMap<string, number>): string {
  if (untranslated.size === 0) return "";
  const rows = [...untranslated].sort((a, b) => b[1] - a[1])
    .map(([option, count]) => `  ${String(count).padStart(4)}  ${visible(option)}\n`);
  return `Options without an equivalent here, left out, with the number of tests:\n${
    rows.join("")
  }`;
}

function summaryText(summary: Summary, colors: Colors): string {
  const { passed, failed, skipped, notRun, flaky, durationMs, statistics } = summary;
  const parts = [
    `${passed} passed`,
    `${failed} failed`,
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(notRun > 0 ? [`${notRun} not run`] : []),
    ...(flaky > 0 ? [`${flaky} flaky`] : []),
  ];
  const color = failed > 0 ? colors.bad : colors.good;
  return statistics.map(statisticsText).join("") +
    `${color}${parts.join(", ")}${colors.off} in ${(durationMs / 1000).toFixed(1)} s\n`;
}

function statisticsText(statistics: RepeatStatistics): string {
  const { name, runs, failed, minMs, medianMs, maxMs } = statistics;
  const share = (failed / runs * 100).toFixed(1);
  return `${visible(name)}: ${failed} of ${runs} runs failed (${share} %); ` +
    `${minMs.toFixed(0)} / ${medianMs.toFixed(0)} / ${maxMs.toFixed(0)} ms ` +
    "at least / median / at most\n";
}
