/**
 * Kicks: how one thread brings another back from the guest. A kick is a signal
 * that is blocked in the threads that run vCPUs and let through only while
 * `KVM_RUN` runs, so that none is lost: one that comes between two entries makes
 * the next one return at once.
 *
 * @module
 */

import { blockSignals, gettid, SIGIO, signalThread, takePendingSignal } from "../../ffi/signals.ts";

/** The first real-time signal that glibc leaves to programs (SIGRTMIN): of a thread's own timer. */
export const ALARM_SIGNAL = 34;
/** The next one: of another thread. */
const KICK_SIGNAL = 35;

/**
 * Makes the calling thread one that can be kicked, for as long as it lives.
 *
 * @returns the thread's id, for {@linkcode kick}
 */
export function awaitKicks(): number {
  blockSignals(KICK_SIGNAL);
  return gettid();
}

/** Brings a thread back from the guest: its `KVM_RUN` returns with EINTR. @param tid the thread's id */
export function kick(tid: number): void {
  signalThread(tid, KICK_SIGNAL);
}

/** Takes all kicks that have arrived: real-time signals queue. @returns whether there was one */
export function takeKick(): boolean {
  if (!takePendingSignal(KICK_SIGNAL)) return false;
  while (takePendingSignal(KICK_SIGNAL));
  return true;
}

/**
 * The signal mask for a vCPU in the guest: as outside, except for alarms, kicks and input.
 *
 * @param outer the thread's mask without them: the kernel's sigset_t, bit n-1 for signal n
 */
export function guestSignalMask(outer: Uint8Array): Uint8Array<ArrayBuffer> {
  const mask = Uint8Array.from(outer);
  for (const signal of [ALARM_SIGNAL, KICK_SIGNAL, SIGIO]) {
    const bit = signal - 1;
    mask[bit >> 3]! &= ~(1 << (bit & 7));
  }
  return mask;
}
