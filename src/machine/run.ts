/**
 * Runs a machine to its end without keeping the event loop from its turns.
 *
 * @module
 */

import type { VirtualMachine } from "./machine.ts";
import type { Outcome } from "./outcome.ts";

/** How long the guest runs before the event loop gets a turn. */
const SLICE_MS = 200;

/** How a machine is run. */
export interface RunOptions {
  /** End the run after so many milliseconds. Default: never. */
  readonly timeoutMs?: number;
  /** Called before each turn of the event loop. */
  readonly onPause?: () => void;
}

/**
 * Runs the guest to its end, with turns for timers, signals and promises between slices.
 *
 * @example
 * ```ts
 * import { planBoot } from "../boot/detect.ts";
 * import { VirtualMachine } from "./machine.ts";
 * import { runToEnd } from "./run.ts";
 * using machine = new VirtualMachine({ memoryBytes: 1 << 20 });
 * const halt = new Uint8Array([0xf4]);
 * machine.boot(planBoot(halt, "", "flat16", { ram: machine.memory.ranges }));
 * console.log(await runToEnd(machine, { timeoutMs: 1000 })); // { kind: "halt" }
 * ```
 */
export async function runToEnd(
  machine: Pick<VirtualMachine, "runFor">,
  { timeoutMs = Infinity, onPause = () => {} }: RunOptions = {},
): Promise<Outcome> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = deadline - performance.now();
    if (left <= 0) return { kind: "timeout", timeoutMs };
    const outcome = machine.runFor(Math.min(SLICE_MS, left));
    if (outcome) return outcome;
    onPause();
    await eventLoopTurn();
  }
}

/**
 * A turn of the event loop: for signal handlers above all. Nothing cheaper than a
 * timer will do: a signal on its way may need more than one round.
 */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
