/**
 * Compares vmexit with QEMU and, where possible, with a bare loop in C: time to
 * the guest's first output and to its end, cost of an exit, time to a fault report,
 * memory, and tests a second.
 *
 * @module
 */

import { type Command, messageTimeMs, residentMemory, runGuest } from "./guest_run.ts";
import type { Boot } from "./guests/cases.ts";
import { OURS, type Program, QEMU_STUCK } from "./guests/programs.ts";
import { type Measure, measureTurns } from "./pairs.ts";
import { projectFile, wallTimeMs } from "./process.ts";
import type { Row } from "./row.ts";
import type { CLoop } from "./run_loop.ts";
import { testRate, writeSuite } from "./smoke_suite.ts";

/** The guest for one vCPU, which images/README.md describes. */
export const EXITS: string = projectFile("images/bench/exits.mb");
const EXITS_SMP = projectFile("images/bench/exits-smp.mb");
/** The exit code of both guests. */
export const EXITS_CODE = 1;
/** The lines around their output. */
const FRAME = "begin\nend\n";

const MEMORY = "128M";
const SMALL_MEMORY = "16M";
const SMALL_MEMORY_BYTES = 16 << 20;
const COUNT = 100_000;
const CPUS = 4;
const TESTS = 20;
const TURNS = 7;

/** The loop of one guest. */
interface Loop {
  readonly boot: Boot;
  /** The number of turns. */
  readonly count: number;
  /** How many bytes it prints. */
  readonly bytes: number;
}

/** A run of the guest for one vCPU. @param mode see images/src/bench/exits.mb.S */
export function loopOf(mode: string, count: number): Loop {
  const boot = { image: EXITS, append: `mode=${mode} count=${count}` };
  return { boot, count, bytes: mode === "mmio" ? 0 : count };
}

/** A run of the guest for several vCPUs. @param count how many exits all make together */
export function loopOnCpus(cpus: number, port: number, count: number): Loop {
  const each = Math.ceil(count / cpus);
  const append = `count=${each} port=${port}`;
  return {
    boot: { image: EXITS_SMP, cpus, append },
    count: each * cpus,
    bytes: port === DEBUGCON ? each * cpus : 0,
  };
}

/** A debug console. */
export const DEBUGCON = 0xe9;
/** The POST code's port: vmexit has a device there, which shows nothing. */
export const POST = 0x80;

/** How often a second a guest does what it does over and over. */
export async function loopRate(program: Program, { boot, count, bytes }: Loop): Promise<number> {
  const run = await runGuest(commandOf(program, boot, MEMORY), EXITS_CODE);
  if (run.bytes !== FRAME.length + bytes) {
    throw new Error(`${program.name} printed ${run.bytes} bytes of ${boot.append}`);
  }
  return count / (run.lastMs - run.firstMs) * 1000;
}

/** A program's command line to boot an image. */
export function commandOf(program: Program, boot: Boot, memory: string): Command {
  return { path: program.path, args: program.arguments(boot, memory) };
}

/** The programs to compare with. */
export interface Peers {
  /** QEMU's machines; empty without QEMU. */
  readonly qemu: readonly Program[];
  /** The loop in C, where it could be compiled. */
  readonly cLoop: CLoop | undefined;
}

/** The rows with a peer. @param folder for temporary files */
export function rowsBesidePeers(peers: Peers, folder: string): Row[] {
  const { cLoop } = peers;
  const boot = (program: Program, append?: string, memory = MEMORY): Command =>
    commandOf(program, { image: EXITS, ...(append === undefined ? {} : { append }) }, memory);
  const whole = (program: Program) => runGuest(boot(program), EXITS_CODE);
  const badJumpMs = (program: Program) =>
    messageTimeMs(
      boot(program, "mode=fetch count=1"),
      program === OURS ? /exit code 24/ : QEMU_STUCK,
    );
  const badPage: Boot = {
    image: projectFile("images/fault/read.bin32"),
    options: ["--hole", "0x300000+0x1000:none"],
  };
  const badPageMs = () => messageTimeMs(commandOf(OURS, badPage, MEMORY), /gpa=0x300008/);
  const resident = (program: Program) =>
    residentMemory(boot(program, "mode=spin count=1", SMALL_MEMORY), SMALL_MEMORY_BYTES);
  const cpus = (port: number) => (program: Program) =>
    loopRate(program, loopOnCpus(CPUS, port, COUNT));
  const cpusInC = cLoop && (() => cLoopRate(cLoop, CPUS));
  const loopRow = (name: string, unit: string, mode: string, perUnit = 1): Row => {
    const loop = loopOf(mode, COUNT);
    return rowOf(
      peers,
      name,
      unit,
      "more",
      async (of) => await loopRate(of, loop) / perUnit,
      cLoop && (async () => await loopRateInC(cLoop, loop) / perUnit),
    );
  };
  const rows = [
    rowOf(peers, "start to first byte", "ms", "less", async (of) => (await whole(of)).firstMs),
    rowOf(peers, "a whole run", "ms", "less", async (of) => (await whole(of)).endMs),
    loopRow("port exits", "exits/s", "port"),
    loopRow("string I/O", "bytes/s", "rep"),
    loopRow("MMIO exits", "exits/s", "mmio"),
    loopRow("serial console, polled", "kB/s", "console", 1000),
    rowOf(peers, `${CPUS} vCPUs, port 0x80`, "exits/s", "more", cpus(POST), cpusInC),
    rowOf(peers, `${CPUS} vCPUs, debug console`, "exits/s", "more", cpus(DEBUGCON)),
    rowOf(peers, "start to report of a bad jump", "ms", "less", badJumpMs),
    rowOf(
      peers,
      "start to report of a bad page",
      "ms",
      "less",
      (of) => of === OURS ? badPageMs() : badJumpMs(of),
    ),
    rowOf(
      peers,
      "resident, without guest RAM",
      "MB",
      "less",
      async (of) => (await resident(of)).peak / 1e6,
    ),
    rowOf(
      peers,
      "of that, in no file",
      "MB",
      "less",
      async (of) => (await resident(of)).anonymous / 1e6,
    ),
    rowOf(
      peers,
      "tests, one at a time",
      "tests/s",
      "more",
      (of) => of === OURS ? suiteRate(folder, "--jobs", "1") : shellRate(boot(of)),
    ),
    rowOf(
      peers,
      "tests, as many at a time as cores",
      "tests/s",
      "more",
      (of) => of === OURS ? suiteRate(folder) : shellRate(boot(of)),
    ),
  ];
  return rows.filter((row) => row.peers.length > 0);
}

/** A row that is measured the same way in vmexit and in QEMU, and perhaps in the loop in C. */
function rowOf(
  { qemu }: Peers,
  name: string,
  unit: string,
  better: "more" | "less",
  measure: (program: Program) => Promise<number>,
  inC?: Measure,
): Row {
  const programs = qemu.map((program): Measure => () => measure(program));
  return {
    name,
    unit,
    better,
    turns: TURNS,
    peers: [...qemu.map((program) => program.name), ...(inC ? ["a C loop"] : [])],
    measure: (turns) =>
      measureTurns(turns, () => measure(OURS), [...programs, ...(inC ? [inC] : [])]),
  };
}

/** As {@linkcode loopRate}, without output and in the loop in C. */
export async function loopRateInC(cLoop: CLoop, { boot, count }: Loop): Promise<number> {
  const { seconds } = await cLoop.run(boot.image, "1", boot.append ?? "");
  return count / seconds;
}

/** Exits a second of several vCPUs in the loop in C, which starts them all itself. */
export async function cLoopRate(cLoop: CLoop, cpus: number): Promise<number> {
  const { exits, seconds } = await cLoop.run(projectFile("images/storm.bin64"), `${cpus}`);
  return exits / seconds;
}

async function suiteRate(folder: string, ...args: readonly string[]): Promise<number> {
  const expected = `stdout = ${JSON.stringify(FRAME)}\nexit = ${EXITS_CODE}`;
  const suite = await writeSuite(folder, TESTS, "bench/exits.mb", expected);
  return await testRate(suite, TESTS, ...args);
}

/** Runs a command so often, and checks its output and exit code each time. */
const SHELL_LOOP = `
count=$1 code=$2 text=$3
shift 3
while [ "$count" -gt 0 ]; do
  out=$("$@" 2>/dev/null)
  [ $? = "$code" ] && [ "$out" = "$text" ] || exit 1
  count=$((count - 1))
done`;
const SHELL_RUNS = 3;

/** Runs a second of a shell script around a program. */
async function shellRate({ path, args }: Command): Promise<number> {
  const parameters = [`${SHELL_RUNS}`, `${EXITS_CODE}`, FRAME.trimEnd(), path, ...args];
  return SHELL_RUNS / await wallTimeMs("sh", ["-c", SHELL_LOOP, "sh", ...parameters]) * 1000;
}
