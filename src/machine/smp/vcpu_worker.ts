/**
 * The thread of one vCPU besides the first: the main module of its Worker. It
 * runs the guest and nothing else: its exits are handed to the machine's own
 * thread, which owns the devices, the trace and the outcome.
 *
 * @module
 */

import { KVM_EXIT } from "../../../ffi/kvm_consts.ts";
import { awaitKicks, kick, takeKick } from "../../kvm/kick.ts";
import { RunArea } from "../../kvm/run_area.ts";
import { RunResult } from "../../kvm/run_result.ts";
import { PortIo } from "../port_io.ts";
import { PortPoster } from "./posted_ports.ts";
import { COMMAND, MACHINE_WORD, STATE, THREAD_WORD, type ThreadOrder } from "./mailbox.ts";

/**
 * For how long an exit waits before its thread kicks again. In between, the
 * machine may give the first vCPU a turn though others wait.
 */
const PATIENCE_MS = 1;

/** Runs the guest until told to quit. */
function runThread({ place, words, machine, machineTid, posted }: ThreadOrder): void {
  const { command, state, result, errno, tid } = THREAD_WORD;
  const area = new RunArea(place);
  const io = new PortIo(area.bytes);
  const poster = posted && new PortPoster(posted);
  const become = (next: number): void => {
    Atomics.store(words, state, next);
    Atomics.notify(words, state);
  };
  /** Enters the guest, and serves its exit or waits until that is done. */
  const runOnce = (): void => {
    const why = area.run();
    if (why === RunResult.interrupted) takeKick();
    if (why === RunResult.interrupted || why === RunResult.notRunnable) return;
    if (why === RunResult.exit && area.exitReason === KVM_EXIT.IO && poster?.serve(io)) return;
    words[result] = why;
    words[errno] = area.lastErrno;
    become(STATE.asking);
    // A late notification of an earlier answer wakes this thread, too: only the state counts.
    while (Atomics.load(words, state) === STATE.asking) {
      if (Atomics.load(machine, MACHINE_WORD.inGuest)) kick(machineTid);
      const order = Atomics.load(words, command);
      if (order === COMMAND.quit) return;
      Atomics.wait(words, state, STATE.asking, order === COMMAND.run ? PATIENCE_MS : Infinity);
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
  area.release();
  become(STATE.gone);
}

addEventListener("message", (event) => {
  runThread((event as MessageEvent<ThreadOrder>).data);
  close();
}, { once: true });
