/**
 * Signals on input: the kernel sends SIGIO to a thread when a descriptor becomes
 * readable (fcntl(2), "I/O signals"), which brings a vCPU out of the guest.
 *
 * @module
 */

import { libc } from "./libc.ts";
import { gettid } from "./signals.ts";

/** Commands of fcntl(2). */
const F = { GETFL: 3, SETFL: 4, SETSIG: 10, SETOWN_EX: 15, GETOWN_EX: 16 } as const;
/** `struct f_owner_ex`: what kind of task gets the signal, and its id. */
const F_OWNER_TID = 0;
/** open(2) flag: send signals. */
const O_ASYNC = 0o20000;

/**
 * Makes the kernel send SIGIO to the calling thread whenever input arrives at a
 * descriptor. At most one signal is pending at a time. Files without such signals,
 * regular files among them, never send any.
 *
 * The setting belongs to the open file description, which other processes may
 * share: a terminal's, most of all. So it is refused where the file already has an
 * owner, and must be undone with {@linkcode signalInputNoMore}.
 *
 * @returns whether it was set
 */
export function signalInput(fd: number): boolean {
  const flags = libc.fcntl(fd, F.GETFL, 0);
  if (flags === -1 || (flags & O_ASYNC && ownerOf(fd) !== 0)) return false;
  // First the owner: O_ASYNC on a terminal without one makes its foreground group the owner.
  return setOwner(fd, gettid()) && libc.fcntl(fd, F.SETSIG, 0) !== -1 &&
    libc.fcntl(fd, F.SETFL, flags | O_ASYNC) !== -1;
}

/** Undoes {@linkcode signalInput}. */
export function signalInputNoMore(fd: number): void {
  const flags = libc.fcntl(fd, F.GETFL, 0);
  if (flags !== -1) libc.fcntl(fd, F.SETFL, flags & ~O_ASYNC);
  setOwner(fd, 0);
}

/** The thread that gets a file's signals; 0 for none, or for one that has exited. */
function ownerOf(fd: number): number {
  const owner = new Int32Array(2);
  libc.fcntl_buffer(fd, F.GETOWN_EX, new Uint8Array(owner.buffer));
  return owner[1]!;
}

function setOwner(fd: number, thread: number): boolean {
  const owner = new Int32Array([F_OWNER_TID, thread]);
  return libc.fcntl_buffer(fd, F.SETOWN_EX, new Uint8Array(owner.buffer)) !== -1;
}
