/**
 * `vmexit report`: turns a JSON trace into a page, or into a file for Perfetto.
 *
 * @module
 */

import config from "../../../deno.json" with { type: "json" };
import { HostFile } from "../../../ffi/host_file.ts";
import { SystemError } from "../../../ffi/libc.ts";
import { readTrace, type Trace } from "../../report/trace.ts";
import { OutputBuffer } from "../../trace/output_buffer.ts";
import { TextTraceError, TraceError } from "../../trace/read.ts";
import { type OptionOf, PAGE_FORMATS, type REPORT } from "../options/options.ts";
import type { ParsedOptions } from "../options/parse.ts";
import { OutputError } from "../output_error.ts";
import { UsageError } from "../options/usage_error.ts";
import { parseChoice } from "../options/values.ts";

const STDIO = "-";

/**
 * Runs the command.
 *
 * @returns remarks on the trace for the user
 * @throws {UsageError} @throws {TraceError} @throws {OutputError}
 */
export async function report(
  parsed: ParsedOptions<OptionOf<typeof REPORT>>,
): Promise<readonly string[]> {
  const format = parseChoice("--to", parsed.value("to") ?? "html", PAGE_FORMATS);
  const path = parsed.operands[0]!;
  const target = parsed.value("output") ?? STDIO;
  if (format === "html" && target === STDIO && Deno.stdout.isTerminal()) {
    throw new UsageError("refusing to print a page to a terminal; give it a file: -o report.html");
  }
  const trace = await openTrace(path);
  write(target, await pieces(trace, format, path));
  return trace.remarks;
}

async function pieces(trace: Trace, format: string, path: string): Promise<Iterable<string>> {
  if (format === "perfetto") {
    const { perfettoJson } = await import("../../report/perfetto.ts");
    return perfettoJson(trace, config.version);
  }
  const { reportHtml } = await import("../../report/html.ts");
  const source = path === STDIO ? "standard input" : path;
  return [await reportHtml(trace, source, config.version)];
}

async function openTrace(path: string): Promise<Trace> {
  const name = path === STDIO ? "standard input" : path;
  try {
    if (path === STDIO) return await readTrace(Deno.stdin.readable);
    using file = await Deno.open(path);
    return await readTrace(readAll(file));
  } catch (error) {
    if (error instanceof TextTraceError) {
      const remedy = "vmexit run --format json --trace-file FILE writes one";
      error.message += `; ${remedy}`;
    }
    if (error instanceof TraceError) throw error.within(name);
    if (error instanceof Deno.errors.NotFound) throw new TraceError(`${name} does not exist`);
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new TraceError(`${name} cannot be read: permission denied; see its mode and owner`);
    }
    if (error instanceof Deno.errors.IsADirectory) {
      throw new TraceError(`${name} is a directory, not a trace`);
    }
    throw error;
  }
}

const READ_BYTES = 1 << 20;

/** A file in large pieces, each valid until the next is read. */
async function* readAll(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

function write(target: string, texts: Iterable<string>): void {
  if (target === STDIO) return put(new OutputBuffer(Deno.stdout, "the report to stdout"), texts);
  try {
    using file = new HostFile(target);
    put(new OutputBuffer(file, target), texts);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new OutputError(`${target}: ${error.text} (${error.code}); see --output`);
  }
}

function put(out: OutputBuffer, texts: Iterable<string>): void {
  for (const text of texts) {
    out.text(text);
    if (out.failure) break;
  }
  out.flush();
  if (out.failure && !out.failure.closed) throw new OutputError(out.failure.message);
}
