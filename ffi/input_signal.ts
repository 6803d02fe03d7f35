/**
 * Signals that tell of input: the kernel sends SIGIO to a thread when a
 * descriptor becomes readable (fcntl(2), "I/O signals").
 *
 * @module
 */

import { libc } from "./libc.ts";
import { gettid } from "./signals.ts";

/** Commands of fcntl(2). */
const F = { GETFL: 3, SETFL: 4, SETSIG: 10, SETOWN_EX: 15, GETOWN_EX: 16 } as const;
/** `struct f_owner_ex`: whom the signal is for, and that one's id. */
const F_OWNER_TID = 0;
/** open(2) flag: send signals. */
const O_ASYNC = 0o20000;

/**
 * Makes the kernel send SIGIO to the calling thread whenever something arrives at
 * a descriptor. However often it does, one signal is pending at most. A kind of
 * file that knows no such signals, such as one on a disk, never sends any.
 *
 * The setting is not the descriptor's but that of the open file behind it, which
 * other processes may share: a terminal above all. So it is refused where the
 * file already signals somebody, and has to be taken back.
 *
 * @returns whether it was done
 */
export function signalInput(fd: number): boolean {
  const flags = libc.fcntl(fd, F.GETFL, 0);
  if (flags === -1 || (flags & O_ASYNC && ownerOf(fd) !== 0)) return false;
  // A terminal's owner becomes its foreground if none is named before.
  return setOwner(fd, gettid()) && libc.fcntl(fd, F.SETSIG, 0) !== -1 &&
    libc.fcntl(fd, F.SETFL, flags | O_ASYNC) !== -1;
}

/** Takes {@linkcode signalInput} back, where it was done. */
export function signalInputNoMore(fd: number): void {
  const flags = libc.fcntl(fd, F.GETFL, 0);
  if (flags !== -1) libc.fcntl(fd, F.SETFL, flags & ~O_ASYNC);
  setOwner(fd, 0);
}

/** The thread that a file signals; 0 for none, or one that is gone. */
function ownerOf(fd: number): number {
  const owner = new Int32Array(2);
  libc.fcntl_buffer(fd, F.GETOWN_EX, new Uint8Array(owner.buffer));
  return owner[1]!;
}

function setOwner(fd: number, thread: number): boolean {
  const owner = new Int32Array([F_OWNER_TID, thread]);
  return libc.fcntl_buffer(fd, F.SETOWN_EX, new Uint8Array(owner.buffer)) !== -1;
}
