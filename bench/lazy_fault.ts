/**
 * What a page of a lazy hole costs, beside the kernel's own page fault and beside
 * userfaultfd, and how much larger chunks save.
 *
 * @module
 */

import { isThere, output, projectFile } from "./process.ts";

/** Gives the microseconds that one page costs, in one measurement. */
export type PageCost = () => Promise<number>;

/** The cost of a lazy page that comes in chunks of at most so many pages. */
export function lazyPage(chunkPages: number): PageCost {
  const flags = ["run", "--quiet", "--no-lock", "--no-prompt", "--allow-ffi", "--allow-read"];
  const args = [...flags, projectFile("bench/lazy_walk.ts"), String(chunkPages)];
  return async () => Number(await output(Deno.execPath(), args));
}

/**
 * The cost of a page by a C program of this folder.
 *
 * @returns `undefined` where it cannot be compiled or cannot run here
 */
export async function pageInC(name: string, folder: string): Promise<PageCost | undefined> {
  if (!await isThere("cc")) return undefined;
  const program = `${folder}/${name}`;
  const source = projectFile(`bench/${name}.c`);
  const measure = async () => Number(await output(program, [])) / 1000;
  try {
    await output("cc", ["-O2", "-pthread", "-o", program, source]);
    await measure();
    return measure;
  } catch {
    return undefined;
  }
}
