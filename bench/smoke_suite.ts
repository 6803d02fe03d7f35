/**
 * What `vmexit test` adds: a suite of one guest over and over, beside as many
 * runs of `vmexit run -q` alone; and two tests at a time beside one.
 *
 * @module
 */

import { measurePairs, type PairResult } from "./pairs.ts";
import { projectFile, VMEXIT, wallTimeMs } from "./process.ts";

/** Tests between which the two sides of a pair take turns. */
const CHUNK = 20;

/** Writes a suite of tests that are all alike. @returns its path */
async function writeSuite(folder: string): Promise<string> {
  const path = `${folder}/suite.toml`;
  const image = JSON.stringify(projectFile("images/hello.elf"));
  const tests = Array.from(
    { length: CHUNK },
    (_, i) => `[[test]]\nname = "${i}"\nimage = ${image}\n`,
  );
  await Deno.writeTextFile(path, tests.join(""));
  return path;
}

/** Milliseconds a test of a suite, beside a run alone. One at a time. */
export async function measureSuite(pairs: number, folder: string): Promise<PairResult> {
  const suite = await writeSuite(folder);
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
export async function measureParallel(pairs: number, folder: string): Promise<PairResult> {
  const suite = await writeSuite(folder);
  const rate = (jobs: string) => async () =>
    CHUNK / await wallTimeMs(VMEXIT, ["test", "--jobs", jobs, suite]) * 1000;
  return await measurePairs(pairs, rate("2"), rate("1"));
}
