/**
 * Signals and timers of the calling thread: how a vCPU is kicked out of KVM_RUN.
 *
 * @module
 */

import { check, libc } from "./libc.ts";

/** System call numbers (x86-64, arch/x86/entry/syscalls/syscall_64.tbl). */
const SYS = {
  rt_sigprocmask: 14,
  gettid: 186,
  timer_create: 222,
  timer_settime: 223,
  timer_delete: 226,
  tgkill: 234,
} as const;

/**
 * A system call by number: glibc's own functions for timers are elsewhere in
 * older versions, and its signal masks are longer than the kernel's.
 */
function systemCall(
  name: keyof typeof SYS,
  number: number,
  first: BufferSource | null = null,
  second: BufferSource | null = null,
  last = 0,
): number {
  return check(name, libc.syscall(SYS[name], number, first, second, last));
}

/** The calling OS thread's id: gettid(2). */
export function gettid(): number {
  return systemCall("gettid", 0);
}

/** Bytes in the kernel's sigset_t: bit n-1 for signal n. */
export const KERNEL_SIGSET_BYTES = 8;
/** Bytes in glibc's sigset_t, which begins with the kernel's. */
const SIGSET_BYTES = 128;

/** The set that holds these signals. */
function signalSet(...signals: readonly number[]): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(SIGSET_BYTES);
  for (const signal of signals) set[(signal - 1) >> 3]! |= 1 << ((signal - 1) & 7);
  return set;
}

/** "I/O is possible." */
export const SIGIO = 29;
const SIGSTOP = 19;
const SIG_BLOCK = 0;
const SIG_UNBLOCK = 1;

/**
 * Blocks signals in the calling thread (rt_sigprocmask(2)).
 *
 * @returns the mask as it was
 */
export function blockSignals(...signals: readonly number[]): Uint8Array<ArrayBuffer> {
  const previous = new Uint8Array(KERNEL_SIGSET_BYTES);
  systemCall("rt_sigprocmask", SIG_BLOCK, signalSet(...signals), previous, KERNEL_SIGSET_BYTES);
  return previous;
}

/** Unblocks signals in the calling thread; others keep their state. */
export function unblockSignals(...signals: readonly number[]): void {
  systemCall("rt_sigprocmask", SIG_UNBLOCK, signalSet(...signals), null, KERNEL_SIGSET_BYTES);
}

/**
 * Consumes a blocked, pending signal of the calling thread without waiting
 * (sigtimedwait(2) at a zero timeout).
 *
 * @returns whether one was pending
 */
export function takePendingSignal(signal: number): boolean {
  return libc.sigtimedwait(signalSet(signal), null, new Uint8Array(16)) === signal;
}

/**
 * Sends a signal to one thread of this process (tgkill(2)).
 *
 * @param tid the thread's id, as {@linkcode gettid} returns it
 * @throws {SystemError} `ESRCH` when the thread is gone
 */
export function signalThread(tid: number, signal: number): void {
  check("tgkill", libc.tgkill(SYS.tgkill, Deno.pid, tid, signal));
}

const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;

/**
 * A POSIX timer that sends `signal` to the calling thread
 * (timer_create(2), SIGEV_THREAD_ID on CLOCK_MONOTONIC).
 *
 * @returns the timer's id
 * @throws {SystemError}
 */
export function createThreadTimer(signal: number): number {
  const event = new DataView(new ArrayBuffer(64)); // struct sigevent
  event.setInt32(8, signal, true);
  event.setInt32(12, SIGEV_THREAD_ID, true);
  event.setInt32(16, gettid(), true);
  const id = new Int32Array(1);
  systemCall("timer_create", CLOCK_MONOTONIC, new Uint8Array(event.buffer), id);
  return id[0]!;
}

/**
 * Arms a timer to expire once, or disarms it (timer_settime(2)).
 *
 * @param delayMs milliseconds from now; 0 disarms
 */
export function armTimer(id: number, delayMs: number): void {
  const nanoseconds = Math.ceil(delayMs * 1e6);
  const spec = new BigInt64Array([ // struct itimerspec: interval, value
    0n,
    0n,
    BigInt(Math.floor(nanoseconds / 1e9)),
    BigInt(nanoseconds % 1e9),
  ]);
  systemCall("timer_settime", id, null, spec);
}

/** timer_delete(2). */
export function deleteTimer(id: number): void {
  systemCall("timer_delete", id);
}

/**
 * Stops the process as an unhandled SIGTSTP would: raise(3) of SIGSTOP. Returns
 * when the process is continued.
 */
export function stopProcess(): void {
  check("raise", libc.raise(SIGSTOP));
}
