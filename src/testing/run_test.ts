/**
 * Runs one test from start to verdict: attempts, golden files, and the artefacts of a failure.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { ExitWatch, isInSummary, reasonsOf } from "./exit_rule.ts";
import { runGuest, type SelfCommand } from "./guest_process.ts";
import { judge } from "./judge.ts";
import { sameBytes } from "./output_check.ts";
import {
  type ProcessResult,
  summarizeProcess,
  type TestResult,
  type Verdict,
} from "./run_result.ts";
import { commandLine } from "./shell.ts";
import type { Expectations, TestCase } from "./test_case.ts";

/** How many of the last exits a failure shows. */
const LAST_EXITS = 10;
/** How long the traced second run of a failure may take: a guest that hangs has hung by then. */
const SECOND_LOOK_MS = 5000;
/** The exit code of a run that timed out. */
const TIMEOUT = 124;

/** Options that all tests of a suite share. */
export interface TestSurroundings {
  readonly self: SelfCommand;
  /** The program as its user calls it, for commands that repeat a run. */
  readonly program: string;
  /** Writes golden files instead of comparing output with them. */
  readonly update: boolean;
  /** The folder for artefacts of failed tests; made when the first one fails. */
  readonly artefacts: () => string;
  readonly signal: AbortSignal;
}

/** One run of a test. */
export interface TestRun {
  readonly test: TestCase;
  readonly run: number;
  readonly runs: number;
}

/** Runs a test. */
export async function runTest(item: TestRun, around: TestSurroundings): Promise<TestResult> {
  const { test } = item;
  let attempts = 0;
  for (;;) {
    attempts++;
    const { process, verdict, updated } = await attempt(test, around);
    const again = verdict.status === "failed" && attempts <= test.retry && !around.signal.aborted;
    if (again) continue;
    const status = process.killed === "stop" ? "not_run" : verdict.status;
    const result: TestResult = {
      ...item,
      ...verdict,
      status,
      attempts,
      durationMs: process.durationMs,
      process: summarizeProcess(process, status),
      command: repeatCommand(test, around.program),
      lastExits: [],
      ...(updated === undefined ? {} : { updated }),
    };
    return status === "failed" ? await explainFailure(result, process, around) : result;
  }
}

/** The result of a test that was not run. */
export function unrunResult(
  item: TestRun,
  program: string,
  status: "skipped" | "not_run",
  reason: string,
): TestResult {
  return {
    ...item,
    status,
    reason,
    failures: [],
    guestReports: [],
    attempts: 0,
    durationMs: 0,
    command: repeatCommand(item.test, program),
    lastExits: [],
  };
}

interface Attempted {
  readonly process: ProcessResult;
  readonly verdict: Verdict;
  readonly updated?: string;
}

async function attempt(test: TestCase, around: TestSurroundings): Promise<Attempted> {
  const expect = test.judge.by === "expectations" ? test.judge.expect : undefined;
  const watches = test.ownTrace ? [] : (expect?.exits ?? []).map((rule) => new ExitWatch(rule));
  const process = await runGuest(around.self, {
    args: [...test.options, ...traceOptions(test, expect), ...ending(test)],
    folder: test.folder,
    stdin: test.stdin,
    timeoutMs: test.timeoutMs,
    maxOutputBytes: test.maxOutputBytes,
    watches,
    signal: around.signal,
  });
  const path = expect?.stdout?.golden;
  if (path === undefined) return { process, verdict: await judge(test, { process, watches }) };
  const golden = readGolden(path);
  if ("problem" in golden) return { process, verdict: failedVerdict("read", path, golden.problem) };
  const { bytes } = golden;
  if (!around.update || process.killed !== undefined) {
    const evidence = { process, watches, ...(bytes && { golden: bytes }) };
    return { process, verdict: await judge(test, evidence) };
  }
  const verdict = await judge(test, { process, watches, golden: process.stdout });
  // The output of a guest that fails must not become its golden file.
  if (verdict.status !== "passed" || bytes && sameBytes(bytes, process.stdout)) {
    return { process, verdict };
  }
  const problem = writeGolden(path, process.stdout);
  if (problem !== undefined) return { process, verdict: failedVerdict("write", path, problem) };
  return { process, verdict, updated: path };
}

function failedVerdict(what: "read" | "write", path: string, problem: string): Verdict {
  const failure = { what: "stdout golden", expected: `to ${what} ${path}`, actual: problem };
  return { status: "failed", failures: [failure], guestReports: [] };
}

/** The content of a golden file, no bytes if there is none yet, or why it cannot be read. */
function readGolden(path: string): { bytes?: Uint8Array<ArrayBuffer> } | { problem: string } {
  try {
    return { bytes: Deno.readFileSync(path) };
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? {} : { problem: (error as Error).message };
  }
}

/** Writes a golden file and its folder. @returns why it cannot be written */
function writeGolden(path: string, bytes: Uint8Array): string | undefined {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeFileSync(path, bytes);
  } catch (error) {
    return (error as Error).message;
  }
}

/** The trace options that the expectations need, and no more. */
function traceOptions(test: TestCase, expect: Expectations | undefined): string[] {
  if (test.ownTrace) return test.trace === undefined ? [] : [`--trace=${test.trace}`];
  const traced = (expect?.exits ?? []).filter((rule) => !isInSummary(rule)).map(reasonsOf);
  const specs = traced.some((reasons) => reasons === undefined)
    ? ["all"]
    : [...new Set(traced.flatMap((reasons) => reasons!)), ...(test.trace ? [test.trace] : [])];
  return ["--format=json", specs.length === 0 ? "--quiet" : `--trace=${specs.join(",")}`];
}

function ending(test: TestCase): string[] {
  return [`--timeout=${test.timeoutMs}ms`, "--", test.image];
}

/** The run as a user would type it, with its exits shown. */
function repeatCommand(test: TestCase, program: string): string {
  const run = commandLine([program, "run", ...test.options, ...ending(test)]);
  const input = test.stdin === undefined ? "" : `printf %s ${commandLine([test.stdin])} | `;
  return `(cd ${commandLine([test.folder])} && ${input}${run})`;
}

/** Adds the last exits of a failed test, and writes its artefacts. */
async function explainFailure(
  result: TestResult,
  process: ProcessResult,
  around: TestSurroundings,
): Promise<TestResult> {
  const { test } = result;
  // A plain test runs without a trace: its last exits come from a second run.
  const timeoutMs = Math.min(test.timeoutMs, SECOND_LOOK_MS);
  const traced = test.ownTrace ? undefined : await runGuest(around.self, {
    args: [...test.options, "--trace=all", ...ending({ ...test, timeoutMs })],
    folder: test.folder,
    stdin: test.stdin,
    timeoutMs,
    maxOutputBytes: 0,
    signal: around.signal,
  });
  const lines = traced?.stderr.split("\n") ?? [];
  const lastExits = lines.filter((line) => line.startsWith("#")).slice(-LAST_EXITS);
  // The failed run may have got further.
  if (traced?.code === TIMEOUT && timeoutMs < test.timeoutMs) {
    lastExits.push(`(that run was ended after ${timeoutMs} ms)`);
  }
  return { ...result, lastExits, ...keepArtefacts(result, process, traced, around) };
}

/** Writes the artefacts of a failed test to its own folder. */
function keepArtefacts(
  { test, command, failures }: TestResult,
  process: ProcessResult,
  traced: ProcessResult | undefined,
  around: TestSurroundings,
): Pick<TestResult, "artefacts" | "artefactsProblem"> {
  const parent = around.artefacts();
  const texts = failures.map(({ what, expected, actual, diff }) =>
    `${what}\nexpected: ${expected}\nactual: ${actual}\n${diff === undefined ? "" : `${diff}\n`}`
  );
  try {
    const folder = freeFolder(parent, folderName(test.name));
    Deno.writeTextFileSync(join(folder, "command"), `${command}\n`);
    Deno.writeFileSync(join(folder, "stdout"), process.stdout);
    Deno.writeTextFileSync(join(folder, "stderr"), process.stderr);
    if (traced) Deno.writeTextFileSync(join(folder, "trace"), traced.stderr);
    Deno.writeTextFileSync(join(folder, "failures"), texts.join("\n"));
    return { artefacts: folder };
  } catch (error) {
    return { artefactsProblem: (error as Error).message };
  }
}

/** A folder name for a test. */
function folderName(name: string): string {
  return name.replace(/[^\w.=-]+/g, "_").slice(0, 100).replace(/^\.+/, "_");
}

function freeFolder(parent: string, name: string): string {
  for (let n = 1;; n++) {
    const path = join(parent, n === 1 ? name : `${name}-${n}`);
    try {
      Deno.mkdirSync(path);
      return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}
