/**
 * The report as JUnit XML, one test suite a file.
 *
 * @module
 */

import type { Reporter } from "./report.ts";
import { resultName, type TestResult } from "./run_result.ts";

/** Makes the report. All of it comes at the end, since the format puts the numbers first. */
export function junitReporter(): Reporter {
  const files = new Map<string, TestResult[]>();
  return {
    begin: () => "",
    result(result) {
      const { file } = result.test;
      files.set(file, [...files.get(file) ?? [], result]);
      return "";
    },
    end(summary) {
      const all = [...files.values()].flat();
      const suites = [...files].map(([file, results]) => suiteText(file, results));
      return `<?xml version="1.0" encoding="UTF-8"?>\n` +
        `<testsuites name="vmexit" ${numbers(all)} time="${seconds(summary.durationMs)}">\n` +
        `${suites.join("")}</testsuites>\n`;
    },
  };
}

function numbers(results: readonly TestResult[]): string {
  const count = (...statuses: string[]): number =>
    results.filter(({ status }) => statuses.includes(status)).length;
  return `tests="${results.length}" failures="${count("failed")}" errors="0" ` +
    `skipped="${count("skipped", "not_run")}"`;
}

function suiteText(file: string, results: readonly TestResult[]): string {
  const time = results.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return `  <testsuite name="${escapeAttribute(file)}" ${numbers(results)} time="${
    seconds(time)
  }">\n` +
    `${results.map(caseText).join("")}  </testsuite>\n`;
}

function caseText(result: TestResult): string {
  const { test, status, reason, failures, durationMs, process, attempts } = result;
  const parts: string[] = [];
  const properties = [
    ...(attempts > 1 ? [["attempts", String(attempts)]] : []),
    ...(result.artefacts === undefined ? [] : [["artefacts", result.artefacts]]),
    ...test.untranslated.map((option) => ["left out", option]),
  ].map(([name, value]) =>
    `        <property name="${escapeAttribute(name!)}" value="${escapeAttribute(value!)}"/>\n`
  );
  if (properties.length > 0) {
    parts.push(`      <properties>\n${properties.join("")}      </properties>\n`);
  }
  if (status === "skipped" || status === "not_run") {
    parts.push(`      <skipped message="${escapeAttribute(reason ?? "not run")}"/>\n`);
  }
  if (status === "failed") {
    const message = failures.map(({ what }) => what).join(", ");
    parts.push(
      `      <failure message="${escapeAttribute(message)}">${
        escapeAttribute(failureText(result))
      }</failure>\n`,
    );
    parts.push(
      `      <system-out>${escapeContent(process?.stdout ?? "")}</system-out>\n`,
      `      <system-err>${escapeContent(process?.stderr ?? "")}</system-err>\n`,
    );
  }
  const head = `    <testcase name="${escapeAttribute(resultName(result))}" ` +
    `classname="${escapeAttribute(test.file)}" file="${
      escapeAttribute(test.file)
    }" line="${test.line}" ` +
    `time="${seconds(durationMs)}"`;
  return parts.length === 0 ? `${head}/>\n` : `${head}>\n${parts.join("")}    </testcase>\n`;
}

function failureText({ failures, lastExits, command }: TestResult): string {
  const texts = failures.map(({ what, expected, actual, diff }) =>
    `${what}\n${diff ?? `expected ${expected}\nactual   ${actual}`}\n`
  );
  const exits = lastExits.length === 0 ? "" : `last exits\n${lastExits.join("\n")}\n`;
  return `${texts.join("")}${exits}repeat   ${command}\n`;
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;",
};

/**
 * A text as the content of an element. Characters that XML 1.0 (section 2.2) cannot express become
 * the replacement character.
 */
function escapeContent(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"\r]/g, (character) => ENTITIES[character]!)
    .replace(/[\x7f-\x9f]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A text as an attribute, where newlines and tabs would become spaces. */
function escapeAttribute(text: string): string {
  return escapeContent(text).replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
}
