/**
 * The threads of all vCPUs but the first, seen from the machine's thread: they
 * run guests in parallel, and their exits are served here, one after the other.
 *
 * @module
 */

import { awaitKicks, kick, takeKick } from "../../kvm/kick.ts";
import type { RunResult } from "../../kvm/run_result.ts";
import type { Vcpu } from "../../kvm/vcpu.ts";
import type { PostedPorts } from "./posted_ports.ts";
import {
  COMMAND,
  MACHINE_WORD,
  STATE,
  THREAD_WORD,
  THREAD_WORDS,
  type ThreadOrder,
} from "./mailbox.ts";

/** A thread that has not started, or not stopped, by then never will. */
const PATIENCE_MS = 30_000;
/**
 * So many exits of others are served at most before the first vCPU has a turn:
 * they may come faster than they can be served.
 */
const SERVED_PER_TURN = 64;

/** One vCPU's thread. */
interface VcpuThread {
  readonly vcpu: Vcpu;
  readonly worker: Worker;
  readonly words: Int32Array<SharedArrayBuffer>;
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
  readonly #machine = sharedWords();

  /**
   * Starts the threads.
   *
   * @param vcpus with a signal mask that lets kicks through
   * @param posted what the threads may serve themselves
   */
  constructor(vcpus: readonly Vcpu[], posted?: PostedPorts) {
    const machineTid = awaitKicks();
    this.#threads = vcpus.map((vcpu) => {
      const words = sharedWords();
      const worker = new Worker(new URL("./vcpu_worker.ts", import.meta.url), {
        type: "module",
        name: vcpu.what,
      });
      const { place } = vcpu.runArea;
      const machine = this.#machine;
      worker.postMessage({ place, words, machine, machineTid, posted } satisfies ThreadOrder);
      return { vcpu, worker, words };
    });
  }

  /** Ends the threads. Nobody runs these vCPUs from then on. */
  [Symbol.dispose](): void {
    for (const { words } of this.#threads) {
      command(words, COMMAND.quit);
      // Its exit is never served.
      leaveState(words, STATE.asking);
    }
    for (const { vcpu, words, worker } of this.#threads) {
      bringBack(words);
      awaitChange(vcpu, words, (state) => state === STATE.gone);
      worker.terminate();
    }
    takeKick();
  }

  /** Lets the vCPUs run. The first time, it waits until all threads are there. */
  resume(): void {
    for (const { vcpu, words } of this.#threads) {
      awaitChange(vcpu, words, (state) => state !== STATE.starting);
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
    }
  }

  /**
   * Serves exits that wait, and makes ready to enter the first vCPU's guest: from
   * here until {@linkcode left}, whoever has an exit brings this thread back.
   *
   * @param serve serves the exit of the vCPU at this place in the list; with false it says that
   *   the exit has to wait, and with it all others
   * @returns false when `serve` said so
   */
  serveAll(serve: (place: number, result: RunResult) => boolean): boolean {
    for (let served = 0, asked = true; asked;) {
      asked = false;
      for (let place = 0; place < this.#threads.length; place++) {
        const { vcpu, words } = this.#threads[place]!;
        if (Atomics.load(words, THREAD_WORD.state) !== STATE.asking) continue;
        asked = true;
        vcpu.runArea.lastErrno = words[THREAD_WORD.errno]!;
        if (!serve(place, words[THREAD_WORD.result] as RunResult)) return false;
        leaveState(words, STATE.asking);
        served++;
      }
      if (!asked || served >= SERVED_PER_TURN) {
        Atomics.store(this.#machine, MACHINE_WORD.inGuest, 1);
        asked = served < SERVED_PER_TURN && this.isAsked;
        if (asked) this.left();
      }
    }
    return true;
  }

  /** The first vCPU's guest came out. */
  left(): void {
    Atomics.store(this.#machine, MACHINE_WORD.inGuest, 0);
  }

  /** Whether the vCPU at this place in the list is in the guest, or about to be. */
  isRunning(place: number): boolean {
    return Atomics.load(this.#threads[place]!.words, THREAD_WORD.state) === STATE.running;
  }

  /** Whether an exit waits. */
  get isAsked(): boolean {
    return this.#threads.some(({ words }) =>
      Atomics.load(words, THREAD_WORD.state) === STATE.asking
    );
  }

  /** Whether the first vCPU's guest came out because another has an exit. */
  wasKicked(): boolean {
    return takeKick();
  }
}

function sharedWords(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(THREAD_WORDS * Int32Array.BYTES_PER_ELEMENT));
}

function command(words: Int32Array<SharedArrayBuffer>, order: number): void {
  Atomics.store(words, THREAD_WORD.command, order);
  Atomics.notify(words, THREAD_WORD.command);
}

/** Lets a thread go on that waits in this state. */
function leaveState(words: Int32Array<SharedArrayBuffer>, state: number): void {
  if (Atomics.compareExchange(words, THREAD_WORD.state, state, STATE.running) !== state) return;
  Atomics.notify(words, THREAD_WORD.state);
}

/** Brings a thread back from the guest, if it may be there. */
function bringBack(words: Int32Array<SharedArrayBuffer>): void {
  if (Atomics.load(words, THREAD_WORD.state) !== STATE.running) return;
  kick(words[THREAD_WORD.tid]!);
}

/** Waits until a thread is in a state that it is about to come into. */
function awaitChange(
  { what }: Vcpu,
  words: Int32Array<SharedArrayBuffer>,
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
