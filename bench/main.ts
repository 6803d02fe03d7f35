/**
 * The benchmarks: `./dev bench`, or `./dev bench PAIRS` for more or fewer pairs
 * than usual. Every number is a ratio of two programs run in turn.
 *
 * @module
 */

import { lazyPage, pageInC } from "./lazy_fault.ts";
import { measurePairs, type PairResult } from "./pairs.ts";
import { compileCLoop, measureRunLoop, type Tracing } from "./run_loop.ts";
import { measureParallel, measureSuite } from "./smoke_suite.ts";
import { measureStartUp } from "./start_up.ts";

/** What is to be reached. */
interface Target {
  readonly is: "at least" | "at most";
  readonly ratio: number;
}

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly target: Target | undefined;
  measure(pairs: number): Promise<PairResult>;
}

const LOOP_PAIRS = 7;
const START_UP_PAIRS = 21;
/** Pairs of 20 tests each: a suite of 200. */
const SUITE_PAIRS = 10;
/** How many pages a lazy hole brings in at a time, at most: the default is the last. */
const CHUNKS = [8, 64, 512];

const LOOPS: readonly (readonly [Tracing, string, Target | undefined])[] = [
  ["off", "tracing off : C loop", { is: "at least", ratio: 0.95 }],
  ["text", "text trace to a file : C loop", { is: "at least", ratio: 0.7 }],
  ["json", "JSON trace to a file : C loop", undefined],
];

async function main(pairsWanted: number | undefined): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vmexit-bench-" });
  try {
    print(["", "vmexit", "peer", "", "ratio (min-max)", "target", "met"]);
    const peer = await compileCLoop(folder);
    for (const [tracing, name, target] of LOOPS) {
      if (!peer) {
        print([name, "not measured: there is no C compiler (cc)"]);
        continue;
      }
      const measure = (pairs: number) => measureRunLoop(pairs, tracing, peer, folder);
      await report({ name, unit: "exits/s", target, measure }, pairsWanted ?? LOOP_PAIRS);
    }
    await reportLazyPages(pairsWanted ?? LOOP_PAIRS, folder);
    await report({
      name: "run -q hello.elf : empty module",
      unit: "ms",
      target: { is: "at most", ratio: 1.6 },
      measure: (pairs) => measureStartUp(pairs, folder),
    }, pairsWanted ?? START_UP_PAIRS);
    await report({
      name: "a test of a suite : run -q",
      unit: "ms",
      target: { is: "at most", ratio: 1.3 },
      measure: (pairs) => measureSuite(pairs, folder),
    }, pairsWanted ?? SUITE_PAIRS);
    await report({
      name: "tests, 2 at a time : 1 at a time",
      unit: "tests/s",
      target: { is: "at least", ratio: 1.6 },
      measure: (pairs) => measureParallel(pairs, folder),
    }, pairsWanted ?? SUITE_PAIRS);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Lazy pages one by one beside what the kernel does for such, and in larger chunks. */
async function reportLazyPages(pairs: number, folder: string): Promise<void> {
  const single = lazyPage(1);
  const row = (name: string, measure: Row["measure"]): Row => ({
    name,
    unit: "us/page",
    target: undefined,
    measure,
  });
  for (
    const [name, source] of [
      ["lazy page : kernel's page fault", "anonymous_fault"],
      ["lazy page : userfaultfd in C", "userfaultfd"],
    ] as const
  ) {
    const peer = await pageInC(source, folder);
    if (peer) await report(row(name, (n) => measurePairs(n, single, peer)), pairs);
    else print([name, "not measured: it cannot be compiled or run here"]);
  }
  for (const chunk of CHUNKS) {
    const name = `lazy page, chunks to ${chunk} : of 1`;
    await report(row(name, (n) => measurePairs(n, lazyPage(chunk), single)), pairs);
  }
}

async function report({ name, unit, target, measure }: Row, pairs: number): Promise<void> {
  const { ours, peer, ratio } = await measure(pairs);
  const met = target &&
    (target.is === "at least" ? ratio.median >= target.ratio : ratio.median <= target.ratio);
  print([
    name,
    number(ours),
    number(peer),
    unit,
    `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)})`,
    target ? `${target.is} ${target.ratio}` : "",
    met === undefined ? "" : met ? "yes" : "no",
  ]);
}

function number(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value < 10 ? 2 : 1);
}

const WIDTHS = [32, 8, 8, 8, 17, 14, 3];

function print(cells: readonly string[]): void {
  const line = cells.map((cell, i) =>
    i === 1 || i === 2 ? cell.padStart(WIDTHS[i]!) : cell.padEnd(WIDTHS[i]!)
  );
  console.log(line.join("  ").trimEnd());
}

if (import.meta.main) {
  const [pairs] = Deno.args;
  if (pairs !== undefined && !/^[1-9]\d*$/.test(pairs)) {
    console.error("usage: ./dev bench [PAIRS]");
    Deno.exit(2);
  }
  await main(pairs === undefined ? undefined : Number(pairs));
}
