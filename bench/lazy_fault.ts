/**
 * The cost of a page in a lazy hole, compared with the kernel's own page fault and
 * userfaultfd, and what larger chunks save.
 *
 * @module
 */

import { type Measure, measurePairs } from "./pairs.ts";
import { isThere, output, projectFile } from "./process.ts";
import type { Row, Section } from "./row.ts";

/** Chunk sizes of a lazy hole in pages; the last is the default. */
const CHUNKS = [8, 64, 512];
const IN_C = [
  ["the kernel's page fault", "anonymous_fault"],
  ["userfaultfd in C", "userfaultfd"],
] as const;

/** The rows: single pages beside the kernel's faults, and larger chunks. */
export async function lazyRows(folder: string): Promise<Omit<Section, "title">> {
  const rows: Row[] = [];
  const notes: string[] = [];
  const single = lazyPage(1);
  const row = (name: string, ours: Measure, peer: string, theirs: Measure): Row => ({
    name,
    unit: "us/page",
    turns: 7,
    peers: [peer],
    measure: async (turns) => [await measurePairs(turns, ours, theirs)],
  });
  for (const [name, source] of IN_C) {
    const peer = await pageInC(source, folder);
    if (peer) rows.push({ ...row("a lazy page", single, name, peer), better: "less" });
    else notes.push(`${name} is not measured: it cannot be compiled or run here`);
  }
  for (const chunk of CHUNKS) {
    rows.push(row(`a lazy page, chunks to ${chunk}`, lazyPage(chunk), "one at a time", single));
  }
  return { rows, notes };
}

/** The microseconds of a lazy page that comes in chunks of at most `pages`. */
function lazyPage(chunkPages: number): Measure {
  const flags = ["run", "--quiet", "--no-lock", "--no-prompt", "--allow-ffi", "--allow-read"];
  const args = [...flags, projectFile("bench/lazy_walk.ts"), String(chunkPages)];
  return async () => Number(await output(Deno.execPath(), args));
}

/** Microseconds a page by a C program of this folder, where it can be compiled and run. */
async function pageInC(name: string, folder: string): Promise<Measure | undefined> {
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
