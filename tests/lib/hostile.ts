/**
 * The guest that attacks the VMM with all it has, and the invariants that must
 * hold. A run follows from its seed, so that any can be repeated.
 *
 * @module
 */

import { imageFile } from "./images.ts";
import { Random } from "./random.ts";
import { linesOf, PROJECT, TempDir, VMEXIT } from "./vmexit.ts";

/** Where in the image what is patched stands: seed, steps and actions, 8 bytes each. */
const PATCHED_AT = 8;
/** The number of actions that do not end the run; those that do follow them. */
const HARMLESS_ACTIONS = 13;
const ACTIONS = 29;
/** The first endings, and their exit codes on a PC; the other endings have no fixed code. */
const CERTAIN_CODES: readonly ((code: number) => boolean)[] = [
  (code) => code % 2 === 1, // the debug-exit port
  (code) => code === 0, // power-off
  (code) => code === 0, // resets
  (code) => code === 0,
  (code) => code === 0,
  (code) => code === 34, // a panic
];
/** Codes of a guest with good memory: no memory fault, nothing unhandled, no error of vmexit's. */
const CODES = [0, 22, 24, 34, 124];
/** What the guest ends with when all its steps are done. */
const DONE = 85;
/** The guest touches its RAM from 2 MiB on before it begins. */
const MEMORY = "64M";
const TOUCHED_KIB = 62 * 1024;
/** How late a busy host may end a run. */
const GRACE_MS = 15_000;
const SAMPLE_MS = 100;
/** By when a storm has warmed up, all its code compiled; then it is looked at twice. */
const WARM = 1 / 3;
const LATE = 2 / 3;
/** A heap in which garbage is collected before it looks like a leak, and a leak has no room. */
const SMALL_HEAP = "--max-semi-space-size=1,--max-old-space-size=32";
/** What the garbage collector may leave to be done later, in KiB. */
const MAX_GROWTH_KIB = 8 * 1024;
/** As many lines of stderr as there are warnings at most, and the last one. */
const MAX_LINES = 33;

/** One run, as it follows from its seed. */
export interface HostileRun {
  readonly seed: number;
  /** A storm ends by the clock or when all is done; an ending may be any. */
  readonly kind: "storm" | "ending";
  /** What the guest draws from, a bit for each action of its source. */
  readonly actions: number;
  readonly steps: number;
  readonly args: readonly string[];
  /** Whether the guest ends the run for certain, however long that takes on a busy host. */
  readonly certain: boolean;
  /** Whether the run may end with this code. */
  readonly allows: (code: number) => boolean;
}

/** How a run went. */
export interface HostileReport {
  /** What must not be, in a line each. */
  readonly problems: readonly string[];
  readonly code: number;
  /**
   * The least private memory that the VMM had in a storm's second and in its last third, in
   * KiB, guest RAM among it. `Infinity` where it was not looked at.
   */
  readonly memoryKib: readonly [early: number, late: number];
}

/** What a seed makes of a run. One seed in eight is a storm. */
export function planHostileRun(seed: number): HostileRun {
  // Seeds that are near each other are to give runs that are not.
  const random = new Random(Math.imul(seed, 0x9e37_79b1) || 1);
  random.below(2);
  const machine = random.of(["pc", "pc", "bare"]);
  const args = [
    ...["--memory", MEMORY, "--machine", machine],
    ...random.of([
      ["--quiet"],
      ["--quiet", "--unclaimed", "ignore"],
      ["--trace-file", "/dev/null"],
      ["--format", "json", "--trace", "mmio,error", "--trace-file", "/dev/null"],
    ]),
  ];
  const harmless = 2 ** HARMLESS_ACTIONS - 1;
  if (seed % 8 === 0) {
    const allows = (code: number): boolean => code === 124 || code === DONE;
    const steps = 2 ** 40;
    return { seed, kind: "storm", actions: harmless, steps, args, certain: false, allows };
  }
  const kind = "ending";
  const steps = 1 + random.below(100);
  const ending = random.below(ACTIONS - HARMLESS_ACTIONS);
  const action = 2 ** (HARMLESS_ACTIONS + ending);
  const certain = CERTAIN_CODES[ending];
  if (machine === "pc" && certain && random.below(2) === 0) {
    return { seed, kind, steps, args, actions: action, certain: true, allows: certain };
  }
  return {
    seed,
    kind,
    steps,
    args,
    actions: random.of([action, harmless + action, 2 ** ACTIONS - 1]),
    certain: false,
    allows: (code) => code % 2 === 1 || CODES.includes(code),
  };
}

/** The guest with its parameters patched in. */
export function hostileImage({ seed, steps, actions }: HostileRun): Uint8Array {
  const image = imageFile("hostile/hostile.bin64").slice();
  const view = new DataView(image.buffer, image.byteOffset + PATCHED_AT);
  [seed || 1, steps, actions].forEach((value, i) => view.setBigUint64(8 * i, BigInt(value), true));
  return image;
}

/**
 * Runs the command line with the hostile guest, and watches it.
 *
 * @param limitMs when vmexit is to end the run, unless the guest does so for certain
 */
export async function runHostile(run: HostileRun, limitMs: number): Promise<HostileReport> {
  const timeoutMs = run.certain ? GRACE_MS : limitMs;
  using dir = new TempDir();
  const path = dir.file("hostile.bin64", hostileImage(run));
  const child = new Deno.Command(VMEXIT, {
    args: ["run", ...run.args, "--timeout", `${timeoutMs}ms`, path],
    cwd: PROJECT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    env: { DENO_V8_FLAGS: SMALL_HEAP },
  }).spawn();
  const start = performance.now();
  const memory: [early: number, late: number] = [Infinity, Infinity];
  const sampler = setInterval(() => {
    const passed = (performance.now() - start) / timeoutMs;
    const kib = ownMemoryKib(child.pid);
    // With less memory the guest has not begun yet, or the process is about to end.
    if (run.kind !== "storm" || passed < WARM || kib === undefined || kib < TOUCHED_KIB) return;
    const third = passed < LATE ? 0 : 1;
    memory[third] = Math.min(memory[third], kib);
  }, SAMPLE_MS);
  let hung = false;
  const watchdog = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, timeoutMs + GRACE_MS);
  const { code, stderr } = await child.output();
  clearInterval(sampler);
  clearTimeout(watchdog);
  const problems = [
    ...(hung ? [`did not end ${GRACE_MS} ms after its timeout of ${timeoutMs} ms`] : []),
    ...(run.allows(code) ? [] : [`ended with ${code}`]),
    ...strangeOutput(new TextDecoder().decode(stderr), code),
    ...(memory[1] - memory[0] > MAX_GROWTH_KIB
      ? [`grew from ${memory[0]} KiB to ${memory[1]} KiB`]
      : []),
  ];
  return { problems, code, memoryKib: memory };
}

/** Lines of stderr that vmexit should not have written, or that contradict the exit code. */
function strangeOutput(stderr: string, code: number): string[] {
  const lines = linesOf(stderr);
  const strange = lines.filter((line) => !/^vmexit: [\x20-\x7e]+$/.test(line));
  return [
    ...strange.slice(0, 20).map((line) => `stderr: ${line}`),
    ...(lines.length > MAX_LINES ? [`stderr has ${lines.length} lines`] : []),
    ...(lines.at(-1)?.endsWith(`; exit code ${code}`) ? [] : [`the last line: ${lines.at(-1)}`]),
  ];
}

/** The memory that a process has for itself, or `undefined` when it is gone. */
function ownMemoryKib(pid: number): number | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const match = /^RssAnon:\s+(\d+) kB$/m.exec(status);
    return match ? Number(match[1]) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
