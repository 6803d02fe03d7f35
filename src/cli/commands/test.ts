/**
 * `vmexit test`: runs smoke tests.
 *
 * @module
 */

import { resolve } from "node:path";
import { walkSync } from "@std/fs";
import { HostFile } from "../../../ffi/host_file.ts";
import { SystemError } from "../../../ffi/libc.ts";
import { NonblockingStream } from "../../../ffi/nonblocking_stream.ts";
import { EXIT_CODES } from "../../exit_codes.ts";
import { HOST_FILES } from "../../host/facts.ts";
import { type HostReport, inspectHost } from "../../host/report.ts";
import { type Problem, TestFileError } from "../../testing/position.ts";
import { ProgressLine } from "../../testing/progress.ts";
import type { Reporter } from "../../testing/report.ts";
import { humanReporter } from "../../testing/report_human.ts";
import { jsonReporter } from "../../testing/report_json.ts";
import { junitReporter } from "../../testing/report_junit.ts";
import { tapReporter } from "../../testing/report_tap.ts";
import type { TestRun } from "../../testing/run_test.ts";
import { summarize, type TestResult } from "../../testing/run_result.ts";
import { runSuite, selectTests, type TestSelection } from "../../testing/suite.ts";
import type { TestCase } from "../../testing/test_case.ts";
import { testFileReader } from "../../testing/test_file.ts";
import { readUnitTests } from "../../testing/unittests_cfg.ts";
import { type ByteStream, OutputBuffer } from "../../trace/output_buffer.ts";
import { readImageFile } from "../image_file.ts";
import { type OptionOf, REPORT_FORMATS, type TEST } from "../options/options.ts";
import type { ParsedOptions } from "../options/parse.ts";
import { OutputError } from "../output_error.ts";
import { programPath, selfCommand } from "../self.ts";
import { followStarter } from "../starter.ts";
import { RUN_DIALECT } from "../options/test_dialect.ts";
import { UsageError } from "../options/usage_error.ts";
import { parseChoice, parseCount } from "../options/values.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const DEFAULT_COLUMNS = 80;
/** Larger test files are not read. */
const MAX_FILE_BYTES = 16 << 20;
/** How long a reader that takes nothing is waited for at a time. */
const WAIT_MS = 20;
/** How long it has for the rest of the report after a signal. */
const GRACE_MS = 1000;

type TestOptions = ParsedOptions<OptionOf<typeof TEST>>;

/**
 * Runs the command.
 *
 * @returns the exit code: 0 when all passed, 1 when some failed
 * @throws {UsageError} @throws {TestFileError} @throws {OutputError}
 */
export async function test(parsed: TestOptions): Promise<number> {
  if (!followStarter()) return EXIT_CODES.interrupted.code;
  const selection = parseSelection(parsed);
  const format = parseChoice("--format", parsed.value("format") ?? "human", REPORT_FORMATS);
  const jobs = parsed.value("jobs");
  const jobCount = jobs === undefined ? navigator.hardwareConcurrency : parseCount("--jobs", jobs);
  const tests = await readTests(parsed.operands, selection.tags);
  const items = selectTests(tests, selection);
  if (items.length === 0 && !selection.shard) {
    throw new UsageError(`--filter and --tag select none of the ${tests.length} tests`);
  }
  const output = parsed.value("output");
  using file = output === undefined ? undefined : openOutput(output);
  const screen = new Screen(items.length);
  const color = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  const human = humanReporter({ color, verbose: parsed.flag("verbose") });
  const report =
    { human, tap: tapReporter(), junit: junitReporter(), json: jsonReporter() }[format];
  const target = file && reportBuffer(file, output!);
  const show = (piece: (reporter: Reporter) => string): void => {
    if (!target) return screen.print(piece(report));
    target.text(piece(report));
    target.flush();
    throwIfLost(target);
    // The report goes to a file, so the screen gets the one for people.
    screen.print(piece(format === "human" ? humanReporter({ color, verbose: false }) : human));
  };
  const start = performance.now();
  show((reporter) => reporter.begin(items.length));
  const { failed, interrupted } = await untilSignal(async (signal) => {
    const results = await runSuite(items, {
      self: selfCommand(),
      program: programPath(),
      update: parsed.flag("update"),
      artefacts: artefactsFolder(parsed.value("artefacts")),
      jobs: jobCount,
      failFast: parsed.flag("fail-fast"),
      host: hostReport(),
      signal,
      observer: {
        started: (item) => screen.started(item),
        finished: (result) => screen.finished(result),
        report: (result) => show((reporter) => reporter.result(result)),
      },
    });
    const summary = summarize(results, performance.now() - start);
    show((reporter) => reporter.end(summary));
    screen.end();
    for (const buffer of target ? [target, screen.stdout] : [screen.stdout]) {
      await deliver(buffer, signal);
      throwIfLost(buffer, buffer === target);
    }
    return summary.failed;
  });
  return interrupted ? EXIT_CODES.interrupted.code : failed > 0 ? 1 : 0;
}

function parseSelection(parsed: TestOptions): TestSelection {
  const filter = parsed.value("filter");
  const repeat = parsed.value("repeat");
  const shard = parsed.value("shard");
  return {
    tags: parsed.values("tag"),
    repeat: repeat === undefined ? 1 : parseCount("--repeat", repeat),
    ...(filter === undefined ? {} : { filter }),
    ...(shard === undefined ? {} : { shard: parseShard(shard) }),
  };
}

function parseShard(text: string): { index: number; count: number } {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (!(shard.index >= 1 && shard.index <= shard.count && Number.isSafeInteger(shard.count))) {
    throw new UsageError(`--shard: "${text}" is not a shard; write the second of three as 2/3`);
  }
  return shard;
}

/** The tests of all files and folders. @throws {TestFileError} with the problems of all files */
async function readTests(paths: readonly string[], tags: readonly string[]): Promise<TestCase[]> {
  const readToml = testFileReader(RUN_DIALECT);
  const tests: TestCase[] = [];
  const problems: Problem[] = [];
  for (const path of paths.flatMap(filesOf)) {
    const text = new TextDecoder().decode(readImageFile(path, MAX_FILE_BYTES));
    try {
      tests.push(
        ...path.endsWith(".cfg")
          ? readUnitTests(path, text, {
            dialect: RUN_DIALECT,
            files: HOST_FILES,
            tags,
            now: Math.floor(Date.now() / 1000),
          })
          : await readToml(path, text),
      );
    } catch (error) {
      if (!(error instanceof TestFileError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new TestFileError(problems);
  return tests;
}

function filesOf(path: string): string[] {
  if (!isFolder(path)) return [path];
  const files = [...walkSync(path, { exts: [".toml"], includeDirs: false })]
    .map((entry) => entry.path)
    .sort();
  if (files.length === 0) throw new UsageError(`${path} has no test files: *.toml`);
  return files;
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    // Reading it will say why.
    return false;
  }
}

/** Runs until the end or a signal. */
async function untilSignal(
  run: (signal: AbortSignal) => Promise<number>,
): Promise<{ failed: number; interrupted: boolean }> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  for (const signal of SIGNALS) Deno.addSignalListener(signal, stop);
  try {
    const failed = await run(controller.signal);
    return { failed, interrupted: controller.signal.aborted };
  } finally {
    for (const signal of SIGNALS) Deno.removeSignalListener(signal, stop);
  }
}

function hostReport(): () => HostReport {
  let report: HostReport | undefined;
  return () => report ??= inspectHost();
}

/** The folder for artefacts, created on first use. */
function artefactsFolder(path: string | undefined): () => string {
  let folder: string | undefined;
  return () => {
    if (folder !== undefined) return folder;
    if (path === undefined) return folder = Deno.makeTempDirSync({ prefix: "vmexit-test-" });
    try {
      Deno.mkdirSync(path, { recursive: true });
    } catch (error) {
      throw new OutputError(`${path}: ${(error as Error).message}; see --artefacts`);
    }
    return folder = resolve(path);
  };
}

function openOutput(path: string): HostFile {
  try {
    return new HostFile(path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new OutputError(`${path}: ${error.text} (${error.code}); see --output`);
  }
}

/** A buffer for a report. While its reader stalls the report waits in memory, and tests run on. */
function reportBuffer(stream: ByteStream, what: string): OutputBuffer {
  return new OutputBuffer(stream, what, undefined, () => {});
}

/** @throws {OutputError} unless it was the reader that closed stdout */
function throwIfLost({ failure }: OutputBuffer, closedIsLost = true): void {
  if (failure && (closedIsLost || !failure.closed)) throw new OutputError(failure.message);
}

/** Writes the rest of a report. A reader that takes nothing is waited for until a signal. */
async function deliver(buffer: OutputBuffer, signal: AbortSignal): Promise<void> {
  let end = Infinity;
  while (!buffer.drain(0, WAIT_MS) && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (signal.aborted) end = Math.min(end, performance.now() + GRACE_MS);
  }
}

/** Standard output, and on a terminal a progress line below it. */
class Screen {
  readonly stdout = reportBuffer(new NonblockingStream(1), "stdout");
  readonly #stderr = new OutputBuffer(Deno.stderr, "stderr");
  readonly #progress: ProgressLine | undefined;

  constructor(total: number) {
    if (Deno.stderr.isTerminal()) this.#progress = new ProgressLine(total, columns);
  }

  started(item: TestRun): void {
    this.#progress?.started(item);
    this.#draw();
  }

  finished(result: TestResult): void {
    this.#progress?.finished(result);
    this.#draw();
  }

  /** Prints part of the report. A reader that has closed stdout is not an error. */
  print(text: string): void {
    if (text === "") return;
    this.#clear();
    this.stdout.text(text);
    this.stdout.flush();
    throwIfLost(this.stdout, false);
    this.#draw();
  }

  end(): void {
    this.#clear();
  }

  #draw(): void {
    if (this.#progress) this.#put(this.#progress.draw());
  }

  #clear(): void {
    if (this.#progress) this.#put(ProgressLine.clear);
  }

  #put(text: string): void {
    this.#stderr.text(text);
    this.#stderr.flush();
  }
}

function columns(): number {
  try {
    return Deno.consoleSize().columns || DEFAULT_COLUMNS;
  } catch {
    // Only stderr is a terminal.
    return DEFAULT_COLUMNS;
  }
}
