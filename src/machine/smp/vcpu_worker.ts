/**
 * The thread of one vCPU besides the first: the main module of its Worker. It runs the
 * guest and nothing else; its exits are handed to the machine's own thread, which owns the
 * devices, the trace and the outcome.
 *
 * @module
 */

import { KVM_EXIT } from "../../../ffi/kvm_consts.ts";
import { ExitCycle } from "../../kvm/exit_cycle.ts";
import { awaitKicks, kick, takeKick } from "../../kvm/kick.ts";
import { RunResult } from "../../kvm/run_result.ts";
import { COMMAND, MACHINE_WORD, STATE, THREAD_WORD, type ThreadOrder } from "./mailbox.ts";
import { PortPoster } from "./posted_ports.ts";

/**
 * For how long an exit waits before its thread kicks again. In between, the machine may give
 * the first vCPU a turn although exits wait.
 */
const PATIENCE_MS = 1;

/** Runs the guest until told to quit. */
function runThread({ place, words, machine, machineTid, posted }: ThreadOrder): void {
  const { command, state, result, errno, tid } = THREAD_WORD;
  const cycle = ExitCycle.at(place, "the vCPU");
  const { page } = cycle;
  const poster = posted && new PortPoster(posted);
  const become = (next: number): void => {
    Atomics.store(words, state, next);
    Atomics.notify(words, state);
  };
  /** Enters the guest, and serves its exit or waits until that is done. */
  const runOnce = (): void => {
    const why = cycle.run();
    if (why === RunResult.interrupted) takeKick();
    if (cycle.state !== "exited") return;
    if (why === RunResult.exit && page.reason === KVM_EXIT.IO && poster?.serve(page.io)) return;
    words[result] = why;
    words[errno] = cycle.errno;
    become(STATE.exited);
    // A late notification of an earlier reply wakes this thread, too: only the state counts.
    while (Atomics.load(words, state) === STATE.exited) {
      if (Atomics.load(machine, MACHINE_WORD.inGuest)) kick(machineTid);
      const order = Atomics.load(words, command);
      if (order === COMMAND.quit) return;
      Atomics.wait(words, state, STATE.exited, order === COMMAND.run ? PATIENCE_MS : Infinity);
    }
  };
  Atomics.store(words, tid, awaitKicks());
  let order = Atomics.load(words, command);
  while (order !== COMMAND.quit) {
    if (order === COMMAND.park) {
      become(STATE.parked);
      Atomics.wait(words, command, COMMAND.park);
    } else {
      Atomics.store(words, state, STATE.running);
      // A machine that parks its threads now has either seen that this one runs, or is seen here.
      if (Atomics.load(words, command) === COMMAND.run) runOnce();
    }
    order = Atomics.load(words, command);
  }
  page.release();
  become(STATE.gone);
}

addEventListener("message", (event) => {
  runThread((event as MessageEvent<ThreadOrder>).data);
  close();
}, { once: true });
