/**
 * The mailbox between the machine's thread and the threads of its other vCPUs: a few
 * words of shared memory. No messages are sent once a thread is up, so that neither
 * side needs its event loop.
 *
 * @module
 */

import type { ExitPagePlace } from "../../kvm/exit_cycle.ts";
import type { PostedPorts } from "./posted_ports.ts";

/** Words of shared memory. */
export type Words = Int32Array<SharedArrayBuffer>;

/** The words of each thread. The machine writes `command`, the thread writes the others. */
export const THREAD_WORD = { command: 0, state: 1, result: 2, errno: 3, tid: 4 } as const;
/** How many words a thread has: a cache line, so that threads do not slow each other down. */
const THREAD_WORDS = 16;

/** The machine's order to a thread. */
export const COMMAND = { park: 0, run: 1, quit: 2 } as const;
/**
 * What a thread is doing. `exited`: its vCPU came out with an exit to serve; the machine sets
 * `running` when that was done.
 */
export const STATE = { starting: 0, parked: 1, running: 2, exited: 3, gone: 4 } as const;

/** The machine's own words: whether its thread is in the guest, and must be kicked to look up. */
export const MACHINE_WORD = { inGuest: 0 } as const;

/** The message that starts a thread. */
export interface ThreadOrder {
  readonly place: ExitPagePlace;
  /** The thread's own words. */
  readonly words: Words;
  /** The machine's words. */
  readonly machine: Words;
  /** The id of the machine's thread. */
  readonly machineTid: number;
  /** What the thread may serve itself, if anything. */
  readonly posted: PostedPorts | undefined;
}

/** Makes the words of a thread, or of the machine. */
export function makeWords(): Words {
  return new Int32Array(new SharedArrayBuffer(THREAD_WORDS * Int32Array.BYTES_PER_ELEMENT));
}
