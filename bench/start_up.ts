/**
 * The wall time of a whole `vmexit run` of a guest that only greets, beside
 * `deno run` of a module that is empty: what a virtual machine costs on top of
 * the runtime.
 *
 * @module
 */

import { measurePairs, type PairResult } from "./pairs.ts";
import { projectFile, VMEXIT, wallTimeMs } from "./process.ts";

/** Measures in milliseconds. @param folder where the empty module goes */
export async function measureStartUp(pairs: number, folder: string): Promise<PairResult> {
  const empty = `${folder}/empty.ts`;
  await Deno.writeTextFile(empty, "");
  return await measurePairs(
    pairs,
    () => wallTimeMs(VMEXIT, ["run", "-q", projectFile("images/hello.elf")]),
    () => wallTimeMs(Deno.execPath(), ["run", empty]),
  );
}
