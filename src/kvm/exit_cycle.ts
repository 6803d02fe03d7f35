/**
 * The life of a vCPU from one entry into the guest to the next: the one place where
 * a vCPU is entered, and the one state that says what its last exit still needs.
 *
 * | state     | means                                                                | next                               |
 * |-----------|----------------------------------------------------------------------|------------------------------------|
 * | `whole`   | the last instruction is finished: the registers are final            | `run` → running                    |
 * | `running` | the vCPU is in `KVM_RUN`, on this thread or its own                  | it comes out → exited; EINTR → whole |
 * | `exited`  | it came out with an exit or a fault that has not been served         | `served` → served, or whole        |
 * | `served`  | the reply is on the page; KVM has yet to finish the instruction (R7) | `run` → running; `finish` → whole, or exited with the next part of the same instruction |
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN } from "../../ffi/kvm_ioctls.ts";
import { errnoCell, rawIoctl } from "../../ffi/libc.ts";
import { viewMemory } from "../../ffi/memory.ts";
import { DisposedError } from "./descriptor.ts";
import { ExitPage } from "./exit_page.ts";
import { classifyFailure, RunResult } from "./run_result.ts";

/** A state of {@linkcode ExitCycle}. */
export type CycleState = "whole" | "running" | "exited" | "served";

/**
 * R7: exits after which KVM finishes the instruction at the next entry: it takes the reply,
 * and moves RIP past the instruction. KVM does not say so at run time.
 */
const HALF_FINISHED = new Uint8Array(256);
for (const name of ["IO", "MMIO", "X86_RDMSR", "X86_WRMSR", "HYPERCALL", "XEN"] as const) {
  HALF_FINISHED[KVM_EXIT[name]] = 1;
}

/** Where a vCPU's `kvm_run` is mapped: all that another thread of the process needs. */
export interface ExitPagePlace {
  /** The vCPU's descriptor. */
  readonly fd: number;
  /** The mapping's address in this process (HVA). */
  readonly address: bigint;
  /** The mapping's size in bytes. */
  readonly sizeBytes: number;
}

/**
 * Enters a vCPU, and keeps track of its exits.
 *
 * @example
 * ```ts
 * import { Kvm } from "./kvm.ts";
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 * const { cycle } = vm.createVcpu(0);
 * cycle.page.immediateExit = true; // there is no memory to run in
 * cycle.run();
 * console.log(cycle.state); // "whole": an interruption is not an exit
 * ```
 */
export class ExitCycle {
  /** The result of the last run. */
  result: RunResult = RunResult.interrupted;
  /** The errno of the last run that did not return an exit. */
  errno = 0;
  readonly #fd: number;
  #state: CycleState = "whole";
  readonly #deferred: (() => void)[] = [];

  /**
   * @param fd the vCPU's descriptor
   * @param what the vCPU's name in errors
   */
  constructor(readonly page: ExitPage, fd: number, readonly what: string) {
    this.#fd = fd;
  }

  /** A cycle over a mapped `kvm_run`. Release the page before unmapping it. */
  static at({ fd, address, sizeBytes }: ExitPagePlace, what: string): ExitCycle {
    return new ExitCycle(new ExitPage(new Uint8Array(viewMemory(address, sizeBytes))), fd, what);
  }

  /** Where the vCPU stands. */
  get state(): CycleState {
    return this.#state;
  }

  /**
   * Enters the guest until something needs the VMM: `KVM_RUN`. Nothing that a guest can
   * cause throws.
   *
   * @returns how much of the page may be read
   * @throws {DisposedError} when the vCPU is gone
   */
  run(): RunResult {
    const { page } = this;
    if (page.released) throw new DisposedError(this.what);
    page.forgetReason();
    this.entered();
    if (this.enter() !== -1) return this.cameOut(RunResult.exit, 0);
    const errno = errnoCell[0]!;
    return this.cameOut(classifyFailure(errno, page.reason), errno);
  }

  /** The call itself: -1 where it failed, with the errno in `errnoCell`. */
  protected enter(): number {
    return rawIoctl(this.#fd, KVM_RUN, 0);
  }

  /** The vCPU is in the guest from now on: here, or on its own thread. */
  entered(): void {
    this.#state = "running";
  }

  /** The vCPU came out of the guest. @returns the result */
  cameOut(result: RunResult, errno: number): RunResult {
    this.result = result;
    this.errno = errno;
    this.#state = result === RunResult.interrupted || result === RunResult.notRunnable
      ? "whole"
      : "exited";
    return result;
  }

  /** The exit was served: its reply is on the page, or its fault was repaired. */
  served(): void {
    if (this.#state === "exited") this.#state = this.#isHalfFinished ? "served" : "whole";
  }

  /**
   * Has KVM finish the instruction of an exit that was served, without entering the guest.
   *
   * @returns whether the vCPU is whole; if not, that led to an exit for another part of the
   *   same instruction, which has to be served first
   */
  finish(): boolean {
    if (this.#state === "served") this.completePending();
    if (this.#state !== "whole") return false;
    for (const action of this.#deferred.splice(0)) action();
    return true;
  }

  /** R7, R3: `KVM_RUN` with `immediate_exit`. */
  completePending(): RunResult {
    this.page.immediateExit = true;
    try {
      return this.run();
    } finally {
      this.page.immediateExit = false;
    }
  }

  /** Whether registers read now are final: no instruction is half-finished. */
  get isFinal(): boolean {
    return this.#state === "whole" || (this.#state === "exited" && !this.#isHalfFinished);
  }

  /** Does something that needs final registers: now, or when {@linkcode finish} is through. */
  whenFinal(action: () => void): void {
    if (this.isFinal) action();
    else this.#deferred.push(action);
  }

  /** Whether something waits for {@linkcode finish}. */
  get hasDeferred(): boolean {
    return this.#deferred.length > 0;
  }

  get #isHalfFinished(): boolean {
    return this.result === RunResult.exit && HALF_FINISHED[this.page.reason & 0xff] === 1;
  }
}
