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
  blockSignals,
  createThreadTimer,
  deleteTimer,
  SIGIO,
  takePendingSignal,
  unblockSignals,
} from "../../ffi/signals.ts";
import { DisposedError } from "./descriptor.ts";
import { ALARM_SIGNAL, guestSignalMask } from "./kick.ts";
import type { Vcpu } from "./vcpu.ts";

/** How far JavaScript's clock may be ahead of the kernel's, or behind. */
const CLOCK_SLACK_MS = 2;

/** How many alarms this thread has, and its signal mask as it was before the first. */
const thread = { alarms: 0, outerMask: new Uint8Array(8) };

/**
 * An alarm of the calling thread. A thread may have several, one set at a time.
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
  readonly #timer: number;
  /** When it goes off at the earliest (`performance.now()`). */
  #due = Infinity;
  #disposed = false;

  constructor() {
    this.#timer = createThreadTimer(ALARM_SIGNAL);
    if (thread.alarms++ === 0) thread.outerMask = blockSignals(ALARM_SIGNAL, SIGIO);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    deleteTimer(this.#timer);
    if (performance.now() >= this.#due) takePendingSignal(ALARM_SIGNAL);
    // While another alarm exists the signal must stay blocked: it would end the process.
    if (--thread.alarms === 0) unblockSignals(ALARM_SIGNAL, SIGIO);
  }

  /**
   * Lets the alarm interrupt this vCPU, which runs on the alarm's thread, and lets
   * SIGIO do so: see {@linkcode ThreadInput}.
   */
  guard(vcpu: Vcpu): void {
    vcpu.setSignalMask(guestSignalMask(thread.outerMask));
  }

  /** Goes off once, after `delayMs`. @throws {DisposedError} */
  arm(delayMs: number): void {
    this.#set(Math.max(delayMs, 1e-6));
    this.#due = performance.now() + delayMs - CLOCK_SLACK_MS;
  }

  /** Disarms the alarm. @returns whether it had gone off @throws {DisposedError} */
  disarm(): boolean {
    if (performance.now() < this.#due) {
      this.#set(0);
      if (performance.now() < this.#due) return false;
    }
    // Newer kernels drop a timer's pending signal when it is set again, older ones do not.
    const wentOff = takePendingSignal(ALARM_SIGNAL);
    this.#set(0);
    return takePendingSignal(ALARM_SIGNAL) || wentOff;
  }

  #set(delayMs: number): void {
    // The number of a deleted timer may be another's by now.
    if (this.#disposed) throw new DisposedError("the alarm");
    armTimer(this.#timer, delayMs);
  }
}
