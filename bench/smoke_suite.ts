/**
 * The cost of `vmexit test`: a suite that repeats one guest, compared with as many runs of
 * `vmexit run -q`; and two tests at a time compared with one.
 *
 * @module
 */

import { measurePairs, type PairResult } from "./pairs.ts";
import { projectFile, VMEXIT, wallTimeMs } from "./process.ts";
import type { Row } from "./row.ts";

/** Tests between which the two sides of a pair take turns. */
const CHUNK = 20;
/** Turns of that many tests: a suite of 200. */
const TURNS = 10;

/** The rows. @param folder where suites go */
export function suiteRows(folder: string): Row[] {
  return [
    {
      name: "a test of a suite",
      unit: "ms",
      target: { is: "at most", ratio: 1.3 },
      turns: TURNS,
      peers: ["run -q"],
      measure: async (turns) => [await measureSuite(turns, folder)],
    },
    {
      name: "tests, 2 at a time",
      unit: "tests/s",
      target: { is: "at least", ratio: 1.6 },
      turns: TURNS,
      peers: ["1 at a time"],
      measure: async (turns) => [await measureParallel(turns, folder)],
    },
  ];
}

/**
 * Writes a suite of identical tests.
 *
 * @param image below `images`
 * @param expected the expectations, in TOML
 * @returns its path
 */
export async function writeSuite(
  folder: string,
  count: number,
  image: string,
  expected = "",
): Promise<string> {
  const path = `${folder}/suite-${count}.toml`;
  const file = JSON.stringify(projectFile(`images/${image}`));
  const tests = Array.from(
    { length: count },
    (_, i) => `[[test]]\nname = "${i}"\nimage = ${file}\n${expected}\n`,
  );
  await Deno.writeTextFile(path, tests.join(""));
  return path;
}

/** Tests a second of a suite. @param args what comes before its path */
export async function testRate(
  suite: string,
  count: number,
  ...args: readonly string[]
): Promise<number> {
  return count / await wallTimeMs(VMEXIT, ["test", ...args, suite]) * 1000;
}

/** Milliseconds a test, beside a single run. One at a time. */
async function measureSuite(pairs: number, folder: string): Promise<PairResult> {
  const suite = await writeSuite(folder, CHUNK, "hello.elf");
  return await measurePairs(
    pairs,
    async () => await wallTimeMs(VMEXIT, ["test", "--jobs", "1", suite]) / CHUNK,
    async () => {
      let sum = 0;
      for (let i = 0; i < CHUNK; i++) {
        sum += await wallTimeMs(VMEXIT, ["run", "-q", projectFile("images/hello.elf")]);
      }
      return sum / CHUNK;
    },
  );
}

/** Tests a second of a suite with two at a time, beside those with one at a time. */
async function measureParallel(pairs: number, folder: string): Promise<PairResult> {
  const suite = await writeSuite(folder, CHUNK, "hello.elf");
  const rate = (jobs: string) => () => testRate(suite, CHUNK, "--jobs", jobs);
  return await measurePairs(pairs, rate("2"), rate("1"));
}
