/**
 * What `KVM_RUN` came back with, before any exit is decoded.
 *
 * @module
 */

import { EAGAIN, EFAULT, EHWPOISON, EINTR } from "../../ffi/errno.ts";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";

/**
 * What `KVM_RUN` came back with, decided by its return and errno before any
 * exit is decoded. A number, since the run loop sees one for every exit.
 */
export const RunResult = {
  /** It returned 0: the exit reason and its payload are valid. */
  exit: 0,
  /** EFAULT or EHWPOISON, and the exit is `MEMORY_FAULT`: that payload is valid. */
  annotatedFault: 1,
  /** EFAULT or EHWPOISON, and KVM says no more: no payload is valid. */
  unannotatedFault: 2,
  /** EINTR: a signal, or a requested immediate exit. Not a guest exit. */
  interrupted: 3,
  /** EAGAIN: the vCPU is not runnable yet. Not a guest exit; run it again. */
  notRunnable: 4,
  /** Any other errno: the exit reason is undefined, only the errno means something. */
  failed: 5,
} as const;

/** One of {@linkcode RunResult}. */
export type RunResult = typeof RunResult[keyof typeof RunResult];

/**
 * What a failed `KVM_RUN` means. The exit reason counts for EFAULT and EHWPOISON
 * only: with any other errno KVM may have left a `MEMORY_FAULT` there that it
 * filled in beforehand, on speculation.
 *
 * @example
 * ```ts
 * import { classifyFailure, RunResult } from "./run_result.ts";
 * console.log(classifyFailure(4, 0) === RunResult.interrupted); // true: EINTR
 * ```
 */
export function classifyFailure(errno: number, exitReason: number): RunResult {
  switch (errno) {
    case EFAULT:
    case EHWPOISON:
      return exitReason === KVM_EXIT.MEMORY_FAULT
        ? RunResult.annotatedFault
        : RunResult.unannotatedFault;
    case EINTR:
      return RunResult.interrupted;
    case EAGAIN:
      return RunResult.notRunnable;
    default:
      return RunResult.failed;
  }
}
