/**
 * What a return of `KVM_RUN` is: an exit to serve, a memory fault and in which
 * shape, or neither.
 *
 * @module
 */

import { KVM_EXIT, KVM_INTERNAL_ERROR } from "../../ffi/kvm_consts.ts";
import { classifyFailure, RunResult } from "../kvm/run_result.ts";
import type { SlotKind } from "../memory/slots.ts";

/**
 * How a memory fault shows itself: KVM says where and why (`annotated`), KVM says
 * nothing (`unannotated`), or KVM says something else (`disguised`).
 */
export type FaultShape = "annotated" | "unannotated" | "disguised";

/** What is known of one return of `KVM_RUN`. */
export interface RunReturn {
  /** What the ioctl returned. */
  readonly result: 0 | -1;
  /** Where that is -1. */
  readonly errno?: number;
  /** `kvm_run.exit_reason`, whether or not it means anything. */
  readonly exitReason: number;
  /** For `MMIO`: what covers the GPA, and the direction. */
  readonly mmio?: { readonly slot: SlotKind | undefined; readonly isWrite: boolean };
  /**
   * For `INTERNAL_ERROR`: the suberror, and whether memory is behind it: the
   * instruction could not be fetched, or its locked access could not be made.
   */
  readonly internalError?: { readonly suberror: number; readonly memoryFailed: boolean };
}

/** What it is. */
export type Classification =
  | { readonly kind: "exit" }
  | { readonly kind: "fault"; readonly shape: "annotated" | "unannotated" }
  | { readonly kind: "fault"; readonly shape: "disguised"; readonly as: "mmio" | "emulation" }
  | { readonly kind: "interrupted" }
  | { readonly kind: "not_runnable" }
  | { readonly kind: "failed"; readonly errno: number };

/**
 * Whether an access to a GPA that a slot covers is a memory fault, now that KVM
 * came out with `MMIO` for it. Only writes to a read-only slot rightly do.
 */
export function isDisguisedMmio(slot: SlotKind | undefined, isWrite: boolean): boolean {
  return slot !== undefined && !(slot === "rom" && isWrite);
}

/**
 * Decides what a return is. Nothing is read from the exit reason or its payload
 * unless the return allows it.
 *
 * @example
 * ```ts
 * import { classify } from "./classify.ts";
 * console.log(classify({ result: -1, errno: 14, exitReason: 39 }));
 * // { kind: "fault", shape: "annotated" }
 * ```
 */
export function classify(run: RunReturn): Classification {
  if (run.result === -1) return classifyErrno(run.errno!, run.exitReason);
  if (run.exitReason === KVM_EXIT.MMIO && run.mmio) {
    const { slot, isWrite } = run.mmio;
    if (isDisguisedMmio(slot, isWrite)) return { kind: "fault", shape: "disguised", as: "mmio" };
  }
  if (run.exitReason === KVM_EXIT.INTERNAL_ERROR && run.internalError) {
    const { suberror, memoryFailed } = run.internalError;
    if (suberror === KVM_INTERNAL_ERROR.EMULATION && memoryFailed) {
      return { kind: "fault", shape: "disguised", as: "emulation" };
    }
  }
  return { kind: "exit" };
}

function classifyErrno(errno: number, exitReason: number): Classification {
  switch (classifyFailure(errno, exitReason)) {
    case RunResult.annotatedFault:
      return { kind: "fault", shape: "annotated" };
    case RunResult.unannotatedFault:
      return { kind: "fault", shape: "unannotated" };
    case RunResult.interrupted:
      return { kind: "interrupted" };
    case RunResult.notRunnable:
      return { kind: "not_runnable" };
    default:
      return { kind: "failed", errno };
  }
}
