/**
 * What a machine's thread and the threads of its other vCPUs tell each other: a
 * few words of shared memory. No messages are sent once a thread is up, so that
 * neither side needs its event loop.
 *
 * @module
 */

import type { RunAreaPlace } from "../../kvm/run_area.ts";
import type { PostedPorts } from "./posted_ports.ts";

/** Where each word is, among a thread's own. The machine writes `command`, the thread the others. */
export const THREAD_WORD = { command: 0, state: 1, result: 2, errno: 3, tid: 4 } as const;
/** How many words a thread has: a cache line, so that threads do not slow each other down. */
export const THREAD_WORDS = 16;

/** What the machine wants of a thread. */
export const COMMAND = { park: 0, run: 1, quit: 2 } as const;
/** What a thread is doing. The machine sets `running` to say that an exit was served. */
export const STATE = { starting: 0, parked: 1, running: 2, asking: 3, gone: 4 } as const;

/** Of the machine's own words: whether its thread is in the guest, and must be kicked to look up. */
export const MACHINE_WORD = { inGuest: 0 } as const;

/** What a thread is told when it starts. */
export interface ThreadOrder {
  readonly place: RunAreaPlace;
  /** The thread's own words. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The machine's words. */
  readonly machine: Int32Array<SharedArrayBuffer>;
  /** The id of the machine's thread. */
  readonly machineTid: number;
  /** What the thread may serve itself, if anything. */
  readonly posted: PostedPorts | undefined;
}
