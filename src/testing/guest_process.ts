/**
 * Runs one guest in a child process and reads its output, within bounds.
 *
 * @module
 */

import { readRecord, TraceError } from "../trace/read.ts";
import type { OutcomeRecord, TraceRecord } from "../trace/records.ts";
import { piecesOf, readUpTo } from "./byte_stream.ts";
import type { ExitWatch } from "./exit_rule.ts";
import type { ProcessResult } from "./run_result.ts";

/** How to start this program again. */
export interface SelfCommand {
  readonly program: string;
  /** Arguments before the command. */
  readonly args: readonly string[];
  /** Added to the environment: makes the process end when this one does. */
  readonly env: Readonly<Record<string, string>>;
}

/** How much of the end of stderr is kept. */
const STDERR_BYTES = 256 << 10;
/** How long after its own time limit a process is killed. */
const GRACE_MS = 10_000;

/** What is run. */
export interface GuestOptions {
  /** Arguments after `run`. */
  readonly args: readonly string[];
  readonly folder: string;
  readonly stdin?: string | undefined;
  /** Milliseconds after which the guest ends by itself. */
  readonly timeoutMs: number;
  /** Bytes of stdout that are read; a guest that writes more is killed. 0 discards stdout. */
  readonly maxOutputBytes: number;
  /** Shown each exit that is traced in JSON. */
  readonly watches?: readonly ExitWatch[];
  /** Kills the process at once. */
  readonly signal: AbortSignal;
}

/** Runs a guest to its end. */
export async function runGuest(self: SelfCommand, options: GuestOptions): Promise<ProcessResult> {
  const { stdin, signal, maxOutputBytes, watches = [] } = options;
  const start = performance.now();
  const child = new Deno.Command(self.program, {
    args: [...self.args, "run", ...options.args],
    cwd: options.folder,
    env: self.env,
    stdin: stdin === undefined ? "null" : "piped",
    stdout: maxOutputBytes === 0 ? "null" : "piped",
    stderr: "piped",
  }).spawn();
  let killed: ProcessResult["killed"];
  const kill = (why: NonNullable<ProcessResult["killed"]>): void => {
    killed ??= why;
    try {
      child.kill("SIGKILL");
    } catch {
      // It has just ended.
    }
  };
  const stop = (): void => kill("stop");
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  const timer = setTimeout(() => kill("time"), options.timeoutMs + GRACE_MS);
  try {
    const errors = new StderrReader(watches);
    const [stdout, , , status] = await Promise.all([
      maxOutputBytes === 0
        ? new Uint8Array()
        : readUpTo(child.stdout, maxOutputBytes, () => kill("output")),
      errors.read(child.stderr),
      stdin === undefined ? undefined : feed(child.stdin, stdin),
      child.status,
    ]);
    return {
      code: status.code,
      signal: status.signal,
      stdout,
      stderr: errors.tail,
      outcome: errors.outcome,
      ...(killed === undefined ? {} : { killed }),
      durationMs: performance.now() - start,
    };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** Writes a text and closes the stream. A guest need not read it. */
async function feed(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  try {
    const writer = stream.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // The process has ended, or closed its stdin.
  }
}

/** Reads stderr line by line: exits for the watches, the outcome, and the tail. */
class StderrReader {
  outcome: OutcomeRecord | undefined;
  #kept: string[] = [];
  #keptSize = 0;
  readonly #watches: readonly ExitWatch[];

  constructor(watches: readonly ExitWatch[]) {
    this.#watches = watches;
  }

  /** The tail of what was read. */
  get tail(): string {
    return this.#kept.join("\n");
  }

  async read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of piecesOf(stream)) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop()!;
      // A line this long is not a record.
      if (rest.length > STDERR_BYTES) rest = rest.slice(-STDERR_BYTES);
      lines.forEach((line) => this.#line(line));
    }
    this.#line(rest + decoder.decode());
  }

  #line(line: string): void {
    this.#kept.push(line);
    this.#keptSize += line.length + 1;
    if (this.#keptSize > 2 * STDERR_BYTES) this.#shorten();
    const isWatched = this.#watches.length > 0 && line.startsWith('{"type":"exit"');
    if (!isWatched && !line.startsWith('{"type":"outcome"')) return;
    const record = recordOf(line);
    if (record?.type === "outcome") this.outcome = record;
    if (record?.type === "exit") this.#watches.forEach((watch) => watch.see(record));
  }

  #shorten(): void {
    let at = 0;
    while (this.#keptSize > STDERR_BYTES) this.#keptSize -= this.#kept[at++]!.length + 1;
    this.#kept = this.#kept.slice(at);
  }
}

/** The record in a line; `undefined` for what only looks like one. */
function recordOf(line: string): TraceRecord | undefined {
  try {
    return readRecord(line);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    return undefined;
  }
}
