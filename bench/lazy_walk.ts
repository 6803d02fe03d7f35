/**
 * One measurement of lazy memory: a guest at CPL 3 writes to each of 10,000 pages
 * and reads them back, once with the pages in a lazy hole and once in plain RAM.
 * Prints the microseconds that a page of the hole costs.
 *
 *     deno run --allow-ffi --allow-read bench/lazy_walk.ts CHUNK_PAGES
 *
 * @module
 */

import { planBoot } from "../src/boot/detect.ts";
import { VirtualMachine } from "../src/machine/machine.ts";
import type { Hole } from "../src/memory/hole.ts";
import { LazyResolver } from "../src/faults/resolve.ts";
import { projectFile } from "./process.ts";

const PAGES = 10_000;
const HOLE: Hole = { gpa: 0x100_0000, sizeBytes: PAGES * 4096, kind: "lazy" };
const MEMORY_BYTES = 64 << 20;

const image = Deno.readFileSync(projectFile("images/fault/lazy-walk-user.bin64"));
const chunkPages = Number(Deno.args[0]);
walkMs([]); // the code is compiled
const plainMs = walkMs([]);
console.log(((walkMs([HOLE]) - plainMs) * 1000) / PAGES);

/** Milliseconds from the guest's first entry to its end. */
function walkMs(holes: readonly Hole[]): number {
  const lazy: LazyResolver[] = [];
  using machine: VirtualMachine = new VirtualMachine({
    memoryBytes: MEMORY_BYTES,
    holes,
    onMemoryFault: (fault) => lazy[0]!.resolve(fault)?.action,
  });
  lazy.push(new LazyResolver(machine.memory, chunkPages));
  machine.boot(planBoot(image, "", "flat64", { ram: machine.memory.ranges }));
  const start = performance.now();
  const outcome = machine.runFor(Infinity);
  const elapsed = performance.now() - start;
  if (outcome?.kind !== "debug_exit") throw new Error(`the guest ended with ${outcome?.kind}`);
  return elapsed;
}
