/**
 * The run loop: enter the guest, take what it came out with, serve that, again. The command
 * line and the library run the same loop; they differ in who serves (`RunControl.serve`).
 *
 * @module
 */

import { RunResult } from "../kvm/run_result.ts";
import { isOver, type RunContext } from "./run_context.ts";

/**
 * Runs the guest until the run ends, an exit is handed out, or a signal interrupts the guest.
 *
 * @param first the first vCPU, which runs on this thread
 * @returns `stop`: the run has ended, see `RunControl.outcome`; `wait`: an exit was handed
 *   out; `continue`: the guest may be entered again
 */
export function runLoop(first: RunContext): "continue" | "wait" | "stop" {
  const { serve, secondaries } = first.control;
  for (;;) {
    const exited = nextExit(first);
    if (!exited) return isOver(first) ? "stop" : "continue";
    const next = serve(exited);
    if (next !== "continue") return next;
    if (exited !== first) secondaries!.resume(exited);
  }
}

/**
 * The next vCPU with an exit to serve: one whose exit waited, one that runs on a thread of its
 * own, or the first one, which is entered for that.
 *
 * @returns `undefined` when the run is over, or the guest was interrupted
 */
function nextExit(first: RunContext): RunContext | undefined {
  const { control: { secondaries }, vcpu: { cycle }, statistics } = first;
  if (isOver(first)) return undefined;
  while (cycle.state !== "exited") {
    const other = secondaries?.next();
    if (other) return isOver(first) ? undefined : other;
    statistics.enter();
    const result = cycle.run();
    statistics.leave();
    secondaries?.firstCameOut();
    if (result === RunResult.interrupted && !secondaries?.wasKicked()) return undefined;
  }
  return first;
}
