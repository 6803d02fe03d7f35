/**
 * The benchmarks: `./dev bench`, or `./dev bench TURNS` for another number of turns.
 * Every number is a ratio of two programs run in turn. `./dev bench growth` measures
 * how costs grow, see growth.ts.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { rowsBesidePeers } from "./beside_qemu.ts";
import { isQemuThere, PEERS, QEMU_PACKAGE } from "./guests/programs.ts";
import { lazyRows } from "./lazy_fault.ts";
import { cellsOf, HEADINGS, markdownLine, type Row, type Section } from "./row.ts";
import { type CLoop, compileCLoop, loopRows } from "./run_loop.ts";
import { suiteRows } from "./smoke_suite.ts";
import { startUpRow } from "./start_up.ts";

const USAGE = "usage: ./dev bench [--filter TEXT] [TURNS]\n       ./dev bench growth";

async function main(filter: string, turns: number | undefined): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "vmexit-bench-" });
  try {
    const cLoop = await compileCLoop(folder);
    const wanted = ({ name }: Row) => name.includes(filter);
    const sections = await sectionsOf(cLoop, folder);
    if (!sections.some(({ rows }) => rows.some(wanted))) {
      console.error(`no row's name contains "${filter}"; there are:`);
      for (const { rows } of sections) rows.forEach(({ name }) => console.error(`  ${name}`));
      return 2;
    }
    for (const { title, rows, notes } of sections) {
      const chosen = rows.filter(wanted);
      if (chosen.length === 0) continue;
      console.log(`\n${title}\n`);
      print(HEADINGS);
      print(WIDTHS.map((width) => "-".repeat(width)));
      for (const row of chosen) {
        const results = await row.measure(turns ?? row.turns);
        results.forEach((result, peer) => print(cellsOf(row, peer, result)));
      }
      notes.forEach((note) => console.log(`\n${note}`));
    }
    return 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function sectionsOf(cLoop: CLoop | undefined, folder: string): Promise<Section[]> {
  const qemu = await isQemuThere() ? PEERS : [];
  const noQemu = `QEMU is not measured: it is missing; apt-get install ${QEMU_PACKAGE}`;
  const noC = "the C loop is not measured: no C compiler (cc) found";
  const notes = [...(qemu.length === 0 ? [noQemu] : []), ...(cLoop ? [] : [noC])];
  return [
    { title: "Beside peers", rows: rowsBesidePeers({ qemu, cLoop }, folder), notes },
    { title: "Traces", rows: loopRows(cLoop, folder), notes: [] },
    { title: "Lazy pages", ...await lazyRows(folder) },
    { title: "Start-up and suites", rows: [startUpRow(folder), ...suiteRows(folder)], notes: [] },
  ];
}

/** Widths of the columns, known beforehand since rows are printed as they are measured. */
const WIDTHS = [33, 8, 8, 7, 19, 23, 27];

function print(cells: readonly string[]): void {
  console.log(markdownLine(cells, WIDTHS));
}

function usageError(): never {
  console.error(USAGE);
  Deno.exit(2);
}

if (import.meta.main) {
  const { filter, _: [first, ...rest] } = parseArgs(Deno.args, {
    string: ["filter", "_"],
    default: { filter: "" },
    unknown: (_, key) => key === undefined || usageError(),
  });
  if (rest.length > 0) usageError();
  if (first === "growth") {
    const { growth } = await import("./growth.ts");
    await growth();
  } else {
    if (first !== undefined && !/^[1-9]\d*$/.test(`${first}`)) usageError();
    Deno.exit(await main(filter, first === undefined ? undefined : Number(first)));
  }
}
