/**
 * Input that brings a running vCPU's thread back from the guest: SIGIO, which is
 * blocked in the thread and let through only while `KVM_RUN` runs, as the alarm's
 * signal is. Input that arrives between two entries makes the next one return at
 * once, so none waits for the guest to come out.
 *
 * @module
 */

import { signalInput, signalInputNoMore } from "../../ffi/input_signal.ts";
import { SIGIO, takePendingSignal } from "../../ffi/signals.ts";

/**
 * The descriptors from which input for the calling thread's vCPU comes. Make it
 * after the thread's {@linkcode ThreadAlarm}, which blocks the signal, and dispose
 * of it before that.
 *
 * @example
 * ```ts
 * import { ThreadAlarm } from "./alarm.ts";
 * import { ThreadInput } from "./thread_input.ts";
 * using alarm = new ThreadAlarm();
 * using input = new ThreadInput();
 * input.watch(0);
 * console.log(input.take()); // true when something was typed meanwhile
 * ```
 */
export class ThreadInput implements Disposable {
  readonly #watched = new Set<number>();
  #disposed = false;

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#watched.forEach((fd) => this.unwatch(fd));
    this.take();
  }

  /** Lets input at this descriptor interrupt the guest, where the descriptor can do that. */
  watch(fd: number): void {
    if (!this.#disposed && !this.#watched.has(fd) && signalInput(fd)) this.#watched.add(fd);
  }

  /** Ends that. Call it before the descriptor is closed. */
  unwatch(fd: number): void {
    if (this.#watched.delete(fd)) signalInputNoMore(fd);
  }

  /**
   * Takes note of what has arrived, so that the guest can be entered again. Look
   * for input after it, not before: what arrives in between would be missed.
   *
   * @returns whether something had
   */
  take(): boolean {
    return takePendingSignal(SIGIO);
  }
}
