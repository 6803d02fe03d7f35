/**
 * The report as JSON lines: one record a test, and a summary.
 *
 * @module
 */

import type { Reporter } from "./report.ts";
import type { Summary, TestResult } from "./run_result.ts";
import { escapeJson } from "./visible.ts";

/** The version of the records. It changes when a field changes its meaning or goes. */
const SCHEMA_VERSION = 1;

/** Makes the report. */
export function jsonReporter(): Reporter {
  return {
    begin: () => "",
    result: (result) => line(resultRecord(result)),
    end: (summary) => line(summaryRecord(summary)),
  };
}

function line(record: unknown): string {
  return escapeJson(JSON.stringify(record)) + "\n";
}

/** Fields that are `undefined` are absent. */
function resultRecord(result: TestResult): unknown {
  const { test, status, reason, run, runs, attempts, durationMs, process, failures } = result;
  return {
    type: "test",
    v: SCHEMA_VERSION,
    name: test.name,
    file: test.file,
    line: test.line,
    tags: test.tags,
    status,
    reason,
    run: runs === 1 ? undefined : run,
    runs: runs === 1 ? undefined : runs,
    attempts,
    duration_ms: Math.round(durationMs * 10) / 10,
    exit_code: process?.code,
    outcome: process?.outcome?.kind,
    failures,
    guest_reports: result.guestReports.length === 0 ? undefined : result.guestReports,
    last_exits: result.lastExits.length === 0 ? undefined : result.lastExits,
    left_out: test.untranslated.length === 0 ? undefined : test.untranslated,
    updated: result.updated,
    command: result.command,
    artefacts: result.artefacts,
  };
}

function summaryRecord(summary: Summary): unknown {
  const { passed, failed, skipped, notRun, flaky, durationMs, statistics } = summary;
  return {
    type: "summary",
    v: SCHEMA_VERSION,
    passed,
    failed,
    skipped,
    not_run: notRun,
    flaky,
    duration_ms: Math.round(durationMs),
    repeats: statistics.map(({ name, file, runs, failed, minMs, medianMs, maxMs }) => ({
      name,
      file,
      runs,
      failed,
      min_ms: minMs,
      median_ms: medianMs,
      max_ms: maxMs,
    })),
  };
}
