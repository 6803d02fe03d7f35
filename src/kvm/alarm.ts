/**
 * An alarm that brings a running vCPU's thread back from the guest: a POSIX
 * timer whose signal is blocked in the thread and let through only while
 * `KVM_RUN` runs. No signal handler is installed, nothing polls, and an alarm
 * that goes off between two entries makes the next one return at once.
 *
 * @module
 */

import {
  armTimer,
  blockSignal,
  createThreadTimer,
  deleteTimer,
  restoreSignalMask,
  takePendingSignal,
} from "../../ffi/libc.ts";
import type { Vcpu } from "./vcpu.ts";

/** The first real-time signal that glibc leaves to programs (SIGRTMIN). */
const ALARM_SIGNAL = 34;

/**
 * The calling thread's alarm.
 *
 * @example
 * ```ts
 * import { ThreadAlarm } from "./alarm.ts";
 * using alarm = new ThreadAlarm();
 * alarm.arm(1000);
 * console.log(alarm.disarm()); // false: it had not gone off yet
 * ```
 */
export class ThreadAlarm implements Disposable {
  readonly #outerMask: Uint8Array<ArrayBuffer>;
  readonly #timer: number;
  #disposed = false;

  constructor() {
    this.#outerMask = blockSignal(ALARM_SIGNAL);
    this.#timer = createThreadTimer(ALARM_SIGNAL);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    deleteTimer(this.#timer);
    takePendingSignal(ALARM_SIGNAL);
    restoreSignalMask(this.#outerMask);
  }

  /** Lets the alarm interrupt this vCPU, which runs on the alarm's thread. */
  guard(vcpu: Vcpu): void {
    const mask = this.#outerMask.slice();
    const bit = ALARM_SIGNAL - 1;
    mask[bit >> 3]! &= ~(1 << (bit & 7));
    vcpu.setSignalMask(mask);
  }

  /** Goes off once, in so many milliseconds. */
  arm(delayMs: number): void {
    armTimer(this.#timer, Math.max(delayMs, 1e-6));
  }

  /** Takes the alarm back. @returns whether it had gone off */
  disarm(): boolean {
    armTimer(this.#timer, 0);
    return takePendingSignal(ALARM_SIGNAL);
  }
}
