/**
 * How costs grow with the number of exits, the guest's RAM, its vCPUs and the size
 * of its image: `./dev bench growth` prints tables and draws docs/growth.svg.
 *
 * @module
 */

import {
  cLoopRate,
  commandOf,
  EXITS,
  EXITS_CODE,
  loopOnCpus,
  loopRate,
  POST,
} from "./beside_qemu.ts";
import { runGuest } from "./guest_run.ts";
import { isQemuThere, OURS, PEERS, type Program, QEMU_PACKAGE } from "./guests/programs.ts";
import { paddedMultiboot } from "./padded_image.ts";
import { type Measure, median } from "./pairs.ts";
import { type Axis, type Curve, type Panel, plot } from "./plot.ts";
import { projectFile } from "./process.ts";
import { tableOf } from "./row.ts";
import { type CLoop, compileCLoop } from "./run_loop.ts";

/** A quantity that grows, and what is measured over it. */
interface Growth {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly values: readonly number[];
  ofProgram(program: Program, x: number): Promise<number>;
  ofCLoop?(cLoop: CLoop, x: number): Promise<number>;
}

const K = 1 << 10;
const M = 1 << 20;
const G = 1 << 30;
const SVG = projectFile("docs/growth.svg");
/** Turns of a point. A point that takes longer than this in total is measured once. */
const TURNS = 5;
const LONG_MS = 30_000;
const CPU_EXITS = 100_000;
/** RAM where another quantity grows; QEMU takes the same suffixes. */
const MEMORY = "128M";
const IMAGE_MEMORY = "256M";

/** Measures everything, and prints and draws the results. */
export async function growth(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vmexit-bench-" });
  try {
    const cLoop = await compileCLoop(folder);
    const qemu = await isQemuThere() ? PEERS : [];
    const panels: Panel[] = [];
    for (const one of growths(folder)) {
      const panel = { ...one, curves: await curvesOf(one, [OURS, ...qemu], cLoop) };
      panels.push(panel);
      console.log(`\n${panel.title}: ${panel.y.name}\n`);
      console.log(tableOf(growthTable(panel)));
    }
    if (qemu.length === 0) console.log(`QEMU is missing: apt-get install ${QEMU_PACKAGE}`);
    await Deno.writeTextFile(SVG, await plot(panels));
    console.log(`\n${SVG}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function growths(folder: string): Growth[] {
  const exits = (count: number): string => `count=${count} port=${POST}`;
  const wholeMs = async (program: Program, memory: string, image = EXITS, append = "") => {
    const boot = { image, append };
    return (await runGuest(commandOf(program, boot, memory), EXITS_CODE)).endMs;
  };
  return [
    {
      title: "A run, by its number of exits",
      x: { name: "port exits", base: 10, label: decimal },
      y: { name: "time from start to end", base: 10, label: duration },
      values: [1e3, 1e4, 1e5, 1e6, 1e7],
      ofProgram: (program, count) => wholeMs(program, MEMORY, EXITS, exits(count)),
      async ofCLoop(cLoop, count) {
        const start = performance.now();
        await cLoop.run(EXITS, "1", exits(count));
        return performance.now() - start;
      },
    },
    {
      title: "A run, by the guest's RAM",
      x: { name: "RAM", base: 4, label: size },
      y: { name: "time from start to end", base: 10, label: duration },
      values: [16 * M, 64 * M, 256 * M, G, 4 * G, 16 * G],
      ofProgram: (program, bytes) => wholeMs(program, `${bytes / M}M`),
    },
    {
      title: "Exits, by the number of vCPUs",
      x: { name: "vCPUs", label: String },
      y: { name: "exits/s of all together", label: decimal },
      values: [1, 2, 3, 4],
      ofProgram: (program, cpus) => loopRate(program, loopOnCpus(cpus, POST, CPU_EXITS)),
      ofCLoop: cLoopRate,
    },
    {
      title: "A run of so large an image",
      x: { name: "image", base: 4, label: size },
      y: { name: "time from start to end", base: 10, label: duration },
      values: [K, 16 * K, 256 * K, 4 * M, 64 * M],
      async ofProgram(program, bytes) {
        const image = `${folder}/image-${bytes}`;
        await Deno.writeFile(image, paddedMultiboot(await Deno.readFile(EXITS), bytes));
        return await wholeMs(program, IMAGE_MEMORY, image);
      },
    },
  ];
}

/** Measures all programs in turn at each point. */
async function curvesOf(
  { values, ofProgram, ofCLoop }: Growth,
  programs: readonly Program[],
  cLoop: CLoop | undefined,
): Promise<Curve[]> {
  const subjects: [name: string, measure: (x: number) => Promise<number>][] = programs.map(
    (program) => [program.name, (x) => ofProgram(program, x)],
  );
  if (cLoop && ofCLoop) subjects.push(["C loop", (x) => ofCLoop(cLoop, x)]);
  const curves = subjects.map(([name]) => ({ name, points: [] as [number, number][] }));
  for (const x of values) {
    const medians = await mediansInTurn(subjects.map(([, measure]) => () => measure(x)));
    medians.forEach((y, i) => curves[i]!.points.push([x, y]));
  }
  return curves;
}

async function mediansInTurn(measures: readonly Measure[]): Promise<number[]> {
  const seen = measures.map((): number[] => []);
  const start = performance.now();
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [i, measure] of measures.entries()) seen[i]!.push(await measure());
    if (performance.now() - start > LONG_MS) break;
  }
  return seen.map(median);
}

/** A panel as the cells of a table. */
export function growthTable({ x, y, curves }: Panel): string[][] {
  const values = curves[0]!.points.map(([value]) => value);
  return [
    [x.name, ...curves.map(({ name }) => name)],
    ...values.map((value, i) => [
      x.label(value),
      ...curves.map(({ points }) => y.label(points[i]![1])),
    ]),
  ];
}

/** A number of three digits with a suffix: `10k`, `1.25M`. */
export function decimal(value: number): string {
  const [unit, suffix] = value >= 1e6 ? [1e6, "M"] : value >= 1e3 ? [1e3, "k"] : [1, ""];
  return `${Number((value / unit).toPrecision(3))}${suffix}`;
}

/** Bytes with a suffix of powers of 1024: `16M`. */
export function size(bytes: number): string {
  const [unit, suffix] = bytes >= G ? [G, "G"] : bytes >= M ? [M, "M"] : [K, "K"];
  return `${Number((bytes / unit).toPrecision(3))}${suffix}`;
}

/** Milliseconds with three digits: `45.1 ms`, `2.31 s`. */
export function duration(ms: number): string {
  const [value, unit] = ms < 1000 ? [ms, "ms"] : [ms / 1000, "s"];
  return `${Number(value.toPrecision(3))} ${unit}`;
}
