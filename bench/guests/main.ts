/**
 * Boots real guests in vmexit and in QEMU: `./dev guests`, or `./dev guests --filter TEXT`
 * for those whose names contain it. Exits with 1 if a guest does not do what it must;
 * missed speed targets are only reported.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { output, projectFile, VMEXIT } from "../process.ts";
import { GUESTS } from "./cases.ts";
import { DebianPackages } from "./debian.ts";
import { measureGuest, type Ratio, type Row } from "./measure.ts";
import { requireQemu } from "./programs.ts";

const USAGE = "usage: ./dev guests [--filter TEXT]";
/** The package cache, inside the launcher's cache. */
const CACHE = projectFile(".setup.d/guests");

async function main(filter: string): Promise<number> {
  const guests = GUESTS.filter(({ name }) => name.toLowerCase().includes(filter.toLowerCase()));
  if (guests.length === 0) {
    console.error(`no guest's name contains "${filter}"; there are:`);
    GUESTS.forEach(({ name }) => console.error(`  ${name}`));
    return 2;
  }
  await requireQemu();
  const emulated = await isEmulated();
  console.log(`Guests' kernels run ${emulated ? "in KVM's instruction emulator" : "natively"}.\n`);
  await Deno.mkdir(CACHE, { recursive: true });
  const folder = await Deno.makeTempDir({ prefix: "vmexit-guests-" });
  const failures: string[] = [];
  const misses: string[] = [];
  try {
    print(["guest", "program", "first byte", "", "text", "", ""]);
    for (const guest of guests) {
      const boot = await guest.prepare(new DebianPackages(CACHE), folder);
      const expected = emulated && guest.emulated ? guest.emulated : guest.native;
      const measured = await measureGuest(guest, boot, expected);
      const named = (text: string): string => `${guest.name}: ${text}`;
      measured.rows.forEach((row, i) => printRow(i === 0 ? guest.name : "", row));
      failures.push(...measured.failures.map(named));
      misses.push(...measured.misses.map(named));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  list(`${failures.length} of what is expected of ${guests.length} guests failed`, failures);
  list(`${misses.length} goals of speed were missed`, misses);
  return failures.length === 0 ? 0 : 1;
}

function list(title: string, lines: readonly string[]): void {
  console.log(["", title, ...lines].join("\n  ").replace("\n  ", "\n"));
}

/** Whether long mode at CPL 0, where kernels run, is emulated here. */
async function isEmulated(): Promise<boolean> {
  const report = JSON.parse(await output(VMEXIT, ["doctor", "--format", "json"]));
  const modes: readonly { mode: string; execution: string }[] = report.execution.modes;
  return modes.find(({ mode }) => mode === "long_cpl0")?.execution === "emulated";
}

function printRow(guest: string, row: Row): void {
  print([
    guest,
    row.program,
    seconds(row.firstMs),
    times(row.firstRatio),
    seconds(row.textMs),
    times(row.textRatio),
    row.remark,
  ]);
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "-" : `${(ms / 1000).toFixed(ms < 10_000 ? 3 : 1)} s`;
}

function times(ratio: Ratio | undefined): string {
  if (!ratio) return "";
  return `${ratio.atLeast ? ">" : ""}${ratio.times.toFixed(ratio.times < 10 ? 1 : 0)}x`;
}

const WIDTHS = [28, 12, 10, 6, 10, 6, 0];
const NUMBERS = 2;

function print(cells: readonly string[]): void {
  const line = cells.map((cell, i) =>
    i >= NUMBERS && i < cells.length - 1 ? cell.padStart(WIDTHS[i]!) : cell.padEnd(WIDTHS[i]!)
  );
  console.log(line.join("  ").trimEnd());
}

if (import.meta.main) {
  const { filter, _: rest } = parseArgs(Deno.args, { string: ["filter"], default: { filter: "" } });
  if (rest.length > 0) {
    console.error(USAGE);
    Deno.exit(2);
  }
  Deno.exit(await main(filter));
}
