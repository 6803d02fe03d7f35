/**
 * The threads of all vCPUs but the first, seen from the machine's thread: they run guests in
 * parallel, and their exits are served here, one after the other.
 *
 * @module
 */

import { awaitKicks, kick, takeKick } from "../../kvm/kick.ts";
import { RunResult } from "../../kvm/run_result.ts";
import type { Vcpu } from "../../kvm/vcpu.ts";
import {
  COMMAND,
  MACHINE_WORD,
  makeWords,
  STATE,
  THREAD_WORD,
  type ThreadOrder,
  type Words,
} from "./mailbox.ts";
import type { PostedPorts } from "./posted_ports.ts";

/** A thread that has not started, or not stopped, by then never will. */
const PATIENCE_MS = 30_000;
/**
 * The most exits of others that are served before the first vCPU has a turn: they may come
 * faster than they can be served.
 */
const SERVED_PER_TURN = 64;

/** One vCPU's thread. */
interface VcpuThread {
  readonly vcpu: Vcpu;
  readonly worker: Worker;
  readonly words: Words;
}

/**
 * The threads of some vCPUs. They run between {@linkcode resume} and {@linkcode park}.
 *
 * @example
 * ```ts
 * import { guestSignalMask } from "../../kvm/kick.ts";
 * import { Kvm } from "../../kvm/kvm.ts";
 * import { VcpuThreads } from "./vcpu_threads.ts";
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 * vm.createIrqchip();
 * const vcpu = vm.createVcpu(1);
 * vcpu.setSignalMask(guestSignalMask(new Uint8Array(8)));
 * using threads = new VcpuThreads([vcpu]);
 * threads.resume(); // vCPU 1 waits for a start-up interrupt
 * threads.park();
 * ```
 */
export class VcpuThreads implements Disposable {
  readonly #threads: readonly VcpuThread[];
  readonly #machine = makeWords();
  /** How many exits were served in this turn, and where to look next. */
  #served = 0;
  #at = 0;

  /**
   * Starts the threads.
   *
   * @param vcpus in the order of their ids, with a signal mask that lets kicks through
   * @param posted what the threads may serve themselves
   */
  constructor(vcpus: readonly Vcpu[], posted?: PostedPorts) {
    const machineTid = awaitKicks();
    this.#threads = vcpus.map((vcpu) => {
      const words = makeWords();
      const worker = new Worker(new URL("./vcpu_worker.ts", import.meta.url), {
        type: "module",
        name: vcpu.what,
      });
      const { place } = vcpu;
      const machine = this.#machine;
      worker.postMessage({ place, words, machine, machineTid, posted } satisfies ThreadOrder);
      return { vcpu, worker, words };
    });
  }

  /** Ends the threads. These vCPUs do not run any more. */
  [Symbol.dispose](): void {
    for (const { words } of this.#threads) {
      command(words, COMMAND.quit);
      leaveExited(words);
    }
    for (const { vcpu, words, worker } of this.#threads) {
      bringBack(words);
      awaitChange(vcpu, words, (state) => state === STATE.gone);
      worker.terminate();
    }
    takeKick();
  }

  /** Lets the vCPUs run. The first time, it waits until all threads are up. */
  resume(): void {
    for (const { vcpu, words } of this.#threads) {
      awaitChange(vcpu, words, (state) => state !== STATE.starting);
      if (Atomics.load(words, THREAD_WORD.state) !== STATE.exited) vcpu.cycle.entered();
      command(words, COMMAND.run);
    }
  }

  /** Stops the vCPUs; returns when none of them is in the guest. */
  park(): void {
    for (const { words } of this.#threads) {
      command(words, COMMAND.park);
      bringBack(words);
    }
    for (const { vcpu, words } of this.#threads) {
      awaitChange(vcpu, words, (state) => state !== STATE.running);
      if (isExited(words)) arrive(vcpu, words);
      else vcpu.cycle.cameOut(RunResult.interrupted, 0);
    }
  }

  /**
   * The next vCPU with an exit to serve. If there is none, or the first vCPU is due, a vCPU
   * that exits kicks this thread from here until {@linkcode firstCameOut}.
   */
  next(): Vcpu | undefined {
    for (;;) {
      const count = this.#threads.length;
      for (let looked = 0; looked < count && this.#served < SERVED_PER_TURN; looked++) {
        const { vcpu, words } = this.#threads[this.#at]!;
        this.#at = (this.#at + 1) % count;
        if (!isExited(words)) continue;
        arrive(vcpu, words);
        this.#served++;
        if (vcpu.cycle.state === "exited") return vcpu;
        this.resumeOne(vcpu); // its exit was served while the threads were parked
        looked = -1;
      }
      Atomics.store(this.#machine, MACHINE_WORD.inGuest, 1);
      if (this.#served >= SERVED_PER_TURN || !this.hasExits) {
        this.#served = 0;
        return undefined;
      }
      this.firstCameOut();
    }
  }

  /** The exit of a vCPU was served: it enters the guest again. */
  resumeOne(vcpu: Vcpu): void {
    const { words } = this.#threads[vcpu.id - this.#threads[0]!.vcpu.id]!;
    vcpu.cycle.entered();
    leaveExited(words);
  }

  /** The first vCPU came out of the guest. */
  firstCameOut(): void {
    Atomics.store(this.#machine, MACHINE_WORD.inGuest, 0);
  }

  /** Whether any exit waits. */
  get hasExits(): boolean {
    return this.#threads.some(({ words }) => isExited(words));
  }

  /** Whether the first vCPU came out because another one has an exit. */
  wasKicked(): boolean {
    return takeKick();
  }
}

function isExited(words: Words): boolean {
  return Atomics.load(words, THREAD_WORD.state) === STATE.exited;
}

/** Takes note of what a vCPU came out with, the first time that it is seen. */
function arrive({ cycle }: Vcpu, words: Words): void {
  if (cycle.state !== "running") return;
  cycle.cameOut(words[THREAD_WORD.result] as RunResult, words[THREAD_WORD.errno]!);
}

function command(words: Words, order: number): void {
  Atomics.store(words, THREAD_WORD.command, order);
  Atomics.notify(words, THREAD_WORD.command);
}

/** Lets a thread run on whose exit was served, or never will be. */
function leaveExited(words: Words): void {
  const { state } = THREAD_WORD;
  if (Atomics.compareExchange(words, state, STATE.exited, STATE.running) !== STATE.exited) return;
  Atomics.notify(words, state);
}

/** Brings a thread back from the guest, if it may be there. */
function bringBack(words: Words): void {
  if (Atomics.load(words, THREAD_WORD.state) === STATE.running) kick(words[THREAD_WORD.tid]!);
}

/** Waits until a thread is in a state that it is about to come into. */
function awaitChange(
  { what }: Vcpu,
  words: Words,
  isThere: (state: number) => boolean,
): void {
  for (;;) {
    const state = Atomics.load(words, THREAD_WORD.state);
    if (isThere(state)) return;
    if (Atomics.wait(words, THREAD_WORD.state, state, PATIENCE_MS) === "timed-out") {
      throw new Error(`the thread of ${what} does not answer`);
    }
  }
}
