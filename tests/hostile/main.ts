/**
 * `./dev fuzz`: hostile guests against the command line, for a given time.
 * Ends with 1 when a run crashed, hung, grew, or ended with an undocumented code.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { type HostileReport, type HostileRun, planHostileRun, runHostile } from "../lib/hostile.ts";

const USAGE = `usage: ./dev fuzz [--seconds N] [--seed SEED]

  --seconds N   run for about N seconds (default 60)
  --seed SEED   one run only: that of this seed`;
/** A storm takes this part of the time, within these bounds. */
const STORM_SHARE = 1 / 4;
const STORM_MS = { least: 1_500, most: 60_000 };
const ENDING_MS = 1_000;

const { seconds = 60, seed } = parseOptions();
const deadline = performance.now() + seconds * 1000;
const stormMs = Math.min(STORM_MS.most, Math.max(STORM_MS.least, seconds * 1000 * STORM_SHARE));
let runs = 0;
let failed = 0;

if (seed === undefined) {
  const [first] = crypto.getRandomValues(new Uint32Array(1));
  // Every eighth seed is a storm.
  for (let next = (first! & ~7) >>> 0; performance.now() < deadline; next = (next + 1) >>> 0) {
    await attack(next);
  }
} else {
  await attack(seed);
}
console.log(`fuzz: ${runs - failed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

async function attack(seed: number): Promise<void> {
  const run = planHostileRun(seed);
  const report = await runHostile(run, run.kind === "storm" ? stormMs : ENDING_MS);
  runs++;
  if (report.problems.length > 0) failed++;
  if (run.kind === "storm" || report.problems.length > 0) console.log(describe(run, report));
}

function describe(run: HostileRun, { problems, code, memoryKib: [early, late] }: HostileReport) {
  const { kind, args } = run;
  const memory = late < Infinity ? `, ${early} KiB of memory, then ${late} KiB` : "";
  return [
    `seed 0x${run.seed.toString(16)}: ${kind}, ${args.join(" ")}: exit code ${code}${memory}`,
    ...problems.map((problem) => `  WRONG: ${problem}`),
  ].join("\n");
}

function parseOptions(): { seconds?: number; seed?: number } {
  const parsed = parseArgs(Deno.args, {
    string: ["seconds", "seed"],
    unknown: (arg: string) => usage(`unknown argument ${arg}`),
  });
  const number = (name: "seconds" | "seed"): number | undefined => {
    const text = parsed[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text === "" || !Number.isSafeInteger(value) || value < 0 || value >= 2 ** 32) {
      usage(`--${name} ${text}: a number below 2^32`);
    }
    return value;
  };
  const [seconds, seed] = [number("seconds"), number("seed")];
  return {
    ...(seconds === undefined ? {} : { seconds }),
    ...(seed === undefined ? {} : { seed }),
  };
}

function usage(problem: string): never {
  console.error(`fuzz: ${problem}\n${USAGE}`);
  Deno.exit(2);
}
