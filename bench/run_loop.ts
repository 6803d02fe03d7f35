/**
 * Exits a second of `vmexit run`, compared with a C loop around `ioctl(KVM_RUN)` with
 * the same guest: images/storm.bin64, 100,000 writes to a port. Both time the
 * loop alone, from the first entry to the halt.
 *
 * @module
 */

import { measurePairs, type PairResult } from "./pairs.ts";
import { isThere, output, projectFile, VMEXIT } from "./process.ts";
import type { Row, Target } from "./row.ts";

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
  /** Runs a guest once. @param args the image and further arguments: see the source */
  run(...args: readonly string[]): Promise<CLoopRun>;
}

/** What the C loop reports of a run. */
export interface CLoopRun {
  readonly exits: number;
  /** From the first entry to the halt. */
  readonly seconds: number;
}

/** Compiles the C loop. @returns `undefined` without a C compiler */
export async function compileCLoop(folder: string): Promise<CLoop | undefined> {
  if (!await isThere("cc")) return undefined;
  const program = `${folder}/c_loop`;
  await output("cc", ["-O2", "-pthread", "-o", program, projectFile("bench/c_loop.c")]);
  return {
    async run(...args) {
      const [exits, nanoseconds] = (await output(program, args)).split(" ").map(Number);
      return { exits: exits!, seconds: nanoseconds! / 1e9 };
    },
  };
}

const LOOPS: readonly (readonly [Tracing, string, Target | undefined])[] = [
  ["off", "exits, no trace", { is: "at least", ratio: 0.95 }],
  ["text", "exits, text trace to a file", { is: "at least", ratio: 0.7 }],
  ["json", "exits, JSON trace to a file", undefined],
];

/** The rows; none without the C loop. @param folder where traces go */
export function loopRows(peer: CLoop | undefined, folder: string): Row[] {
  if (!peer) return [];
  return LOOPS.map(([tracing, name, target]): Row => ({
    name,
    unit: "exits/s",
    better: "more",
    ...(target ? { target } : {}),
    turns: 7,
    peers: ["a C loop"],
    measure: async (turns) => [await measureRunLoop(turns, tracing, peer, folder)],
  }));
}

/** Measures vmexit with some tracing beside the C loop. @param folder where the trace goes */
function measureRunLoop(
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
  }, async () => {
    const { exits, seconds } = await peer.run(GUEST);
    return exits / seconds;
  });
}

/** Exits a second, by the end of a trace: the outcome's record, or the summary in text. */
export function rateOf(trace: string): number {
  const summary = /^--- (\d+) exits in ([\d.]+) ms/m.exec(trace);
  if (summary) return Number(summary[1]) / (Number(summary[2]) / 1000);
  const outcome = JSON.parse(trace.trimEnd().split("\n").at(-1)!);
  return outcome.exits / (outcome.t_us / 1e6);
}

const TAIL_BYTES = 4096;

/** The end of a file, which contains the summary. */
async function tail(path: string): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  await file.seek(-Math.min(size, TAIL_BYTES), Deno.SeekMode.End);
  const bytes = new Uint8Array(TAIL_BYTES);
  const length = await file.read(bytes);
  return new TextDecoder().decode(bytes.subarray(0, length ?? 0));
}
