/**
 * `KVM_RUN`, and the `struct kvm_run` through which it talks.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN } from "../../ffi/kvm_ioctls.ts";
import { KVM_RUN_STRUCT } from "../../ffi/kvm_run.ts";
import { errnoCell, rawIoctl } from "../../ffi/libc.ts";
import { releaseView, viewMemory } from "../../ffi/memory.ts";
import { classifyFailure, RunResult } from "./run_result.ts";

const EXIT_REASON = KVM_RUN_STRUCT.fields.exit_reason[0] / 4;
const IMMEDIATE_EXIT = KVM_RUN_STRUCT.fields.immediate_exit[0];

/** Where a vCPU's `struct kvm_run` is mapped: all that another thread of the process needs. */
export interface RunAreaPlace {
  /** The vCPU's descriptor. */
  readonly fd: number;
  /** The mapping's address in this process (HVA). */
  readonly address: bigint;
  /** The mapping's size in bytes. */
  readonly sizeBytes: number;
}

/**
 * A view of a vCPU's mapped `struct kvm_run`, and the call that makes it change.
 * Whoever mapped it takes the view away before unmapping.
 */
export class RunArea {
  /** `struct kvm_run`, with the pages of port data behind it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The errno of the last {@linkcode run} that did not return an exit. */
  lastErrno = 0;
  readonly #words: Uint32Array;
  readonly #fd: number;

  constructor(readonly place: RunAreaPlace) {
    this.#fd = place.fd;
    const buffer = viewMemory(place.address, place.sizeBytes);
    this.bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
  }

  /** Takes the view away. */
  release(): void {
    releaseView(this.bytes.buffer);
  }

  /** Whether the view was taken away. */
  get released(): boolean {
    return this.#words.length === 0;
  }

  /**
   * Enters the guest until something needs the VMM: `KVM_RUN`.
   *
   * `exit_reason` is set to `UNKNOWN` first, unless an immediate exit was asked
   * for, since a fault without an annotation would otherwise show the previous
   * reason on older kernels.
   *
   * @returns how much of `kvm_run` may be read; nothing that a guest can cause throws
   */
  run(): RunResult {
    const words = this.#words;
    if (this.bytes[IMMEDIATE_EXIT] === 0) words[EXIT_REASON] = KVM_EXIT.UNKNOWN;
    if (rawIoctl(this.#fd, KVM_RUN, 0) !== -1) return RunResult.exit;
    this.lastErrno = errnoCell[0]!;
    return classifyFailure(this.lastErrno, words[EXIT_REASON]!);
  }

  /** `kvm_run.exit_reason`: valid where {@linkcode run} said so. */
  get exitReason(): number {
    return this.#words[EXIT_REASON]!;
  }

  /** `kvm_run.immediate_exit`: makes `KVM_RUN` finish what is pending and come back. */
  get immediateExit(): boolean {
    return this.bytes[IMMEDIATE_EXIT] === 1;
  }

  set immediateExit(value: boolean) {
    this.bytes[IMMEDIATE_EXIT] = value ? 1 : 0;
  }
}
