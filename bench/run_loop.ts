/**
 * Exits a second of `vmexit run`, beside a C loop around `ioctl(KVM_RUN)` with
 * the same guest: images/storm.bin64, 100,000 writes to a port. Both time the
 * loop alone, from the first entry to the halt.
 *
 * @module
 */

import { measurePairs, type PairResult } from "./pairs.ts";
import { isThere, output, projectFile, VMEXIT } from "./process.ts";

/** How a run is traced. */
export type Tracing = "off" | "text" | "json";

const GUEST = projectFile("images/storm.bin64");
const TRACE: Record<Tracing, readonly string[]> = {
  off: ["--trace", "none", "--format", "json"],
  text: ["--format", "text"],
  json: ["--format", "json"],
};

/** The C loop, compiled. */
export interface CLoop {
  /** Exits a second of one run. */
  rate(): Promise<number>;
}

/** Compiles the C loop. @returns `undefined` where there is no C compiler */
export async function compileCLoop(folder: string): Promise<CLoop | undefined> {
  if (!await isThere("cc")) return undefined;
  const program = `${folder}/c_loop`;
  await output("cc", ["-O2", "-o", program, projectFile("bench/c_loop.c")]);
  return {
    async rate() {
      const [exits, nanoseconds] = (await output(program, [GUEST])).split(" ").map(Number);
      return exits! / (nanoseconds! / 1e9);
    },
  };
}

/** Measures vmexit with some tracing beside the C loop. @param folder where the trace goes */
export function measureRunLoop(
  pairs: number,
  tracing: Tracing,
  peer: CLoop,
  folder: string,
): Promise<PairResult> {
  const traceFile = `${folder}/trace`;
  const args = ["run", ...TRACE[tracing], "--trace-file", traceFile, GUEST];
  return measurePairs(pairs, async () => {
    await output(VMEXIT, args);
    return rateOf(await tail(traceFile));
  }, () => peer.rate());
}

/** Exits a second, by the end of a trace: the outcome's record, or the summary in text. */
export function rateOf(trace: string): number {
  const summary = /^--- (\d+) exits in ([\d.]+) ms/m.exec(trace);
  if (summary) return Number(summary[1]) / (Number(summary[2]) / 1000);
  const outcome = JSON.parse(trace.trimEnd().split("\n").at(-1)!);
  return outcome.exits / (outcome.t_us / 1e6);
}

const TAIL_BYTES = 4096;

/** A file's end: all that a summary takes, and not the megabytes before it. */
async function tail(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  await file.seek(-Math.min(size, TAIL_BYTES), Deno.SeekMode.End);
  const bytes = new Uint8Array(TAIL_BYTES);
  const length = await file.read(bytes);
  return new TextDecoder().decode(bytes.subarray(0, length ?? 0));
}
