/**
 * One vCPU's exit on its way from KVM to whoever answers it.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import {
  KVM_RUN_EXIT_OFFSET,
  KVM_RUN_HYPERCALL,
  KVM_RUN_MSR,
  KVM_RUN_STRUCT,
} from "../../ffi/kvm_run.ts";
import type { DebugExit } from "../exits/exit.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import { RunResult } from "../kvm/run_result.ts";
import type { GuestDebug } from "../machine/guest_debug.ts";
import type { RunContext } from "../machine/run_loop.ts";
import type { AccessData, Answerable, Exit } from "./exit.ts";
import type { Vcpu } from "./vcpu.ts";

/** Exits after which KVM finishes the instruction when the guest is entered again (rule R7). */
const HALF_FINISHED: readonly number[] = [
  KVM_EXIT.IO,
  KVM_EXIT.MMIO,
  KVM_EXIT.X86_RDMSR,
  KVM_EXIT.X86_WRMSR,
  KVM_EXIT.HYPERCALL,
  KVM_EXIT.XEN,
];
const REASON_AT = KVM_RUN_STRUCT.fields.exit_reason[0];
const RETURN_AT = KVM_RUN_EXIT_OFFSET + KVM_RUN_HYPERCALL.fields.ret[0];
const MSR_ERROR_AT = KVM_RUN_EXIT_OFFSET + KVM_RUN_MSR.fields.error[0];
const MSR_DATA_AT = KVM_RUN_EXIT_OFFSET + KVM_RUN_MSR.fields.data[0];

/** Where a vCPU's exit waits. */
export class ExitSlot {
  /** The exit that was handed out, and waits. */
  exit: Exit | undefined;
  /** It was served already, on the wish of whoever it was handed to. */
  early = false;
  /** It was served, and is to be passed by when the run loop comes with it again. */
  served = false;
  readonly #afterwards: (() => void)[] = [];

  constructor(readonly context: RunContext, readonly debug: GuestDebug) {}

  /** Whether KVM has still to finish the instruction that its last exit is of. */
  get isHalfFinished(): boolean {
    return HALF_FINISHED.includes(this.context.vcpu.exitReason);
  }

  /** Whether the exit is KVM's way past a breakpoint, which is no concern of experiments. */
  get isStepOver(): boolean {
    const { vcpu, decoder } = this.context;
    return vcpu.exitReason === KVM_EXIT.DEBUG &&
      this.debug.isStepOver(decoder.decode() as DebugExit);
  }

  /**
   * Does something that needs a vCPU whose last instruction is finished: now, or as
   * soon as the exit that waits was served.
   */
  afterwards(action: () => void): void {
    if (this.isHalfFinished) this.#afterwards.push(action);
    else action();
  }

  /** Whether something has to be done afterwards. */
  get hasMore(): boolean {
    return this.#afterwards.length > 0;
  }

  /**
   * Finishes the instruction of an exit that was served, without entering the guest; then
   * there is no exit any more.
   *
   * @returns false when that led to an exit for another part of the same instruction
   */
  finish(): boolean {
    const { vcpu } = this.context;
    if (!this.isHalfFinished) return true;
    if (vcpu.completePending() === RunResult.exit) return false;
    new DataView(vcpu.area.buffer).setUint32(REASON_AT, KVM_EXIT.UNKNOWN, true);
    return true;
  }

  /** Does what was to be done afterwards. */
  catchUp(): void {
    for (const action of this.#afterwards.splice(0)) action();
  }

  /** @throws {DisposedError} @throws {Error} when another exit waits by now, or none */
  requireWaiting(exit: object): void {
    const { vcpu } = this.context;
    if (vcpu.disposed) throw new DisposedError(vcpu.what);
    if (this.exit !== exit) throw new Error("the guest has gone on since this exit");
  }

  /** Writes an answer into `kvm_run`. @throws {TypeError} without a value where the guest reads */
  put(value: AccessData | undefined): void {
    const exit = this.exit!;
    const { area } = this.context.vcpu;
    const view = new DataView(area.buffer, area.byteOffset);
    switch (exit.reason) {
      case "IO":
        if (exit.direction === "in") fill(exit.data, exit.size, required(value));
        break;
      case "MMIO":
        if (exit.direction === "read") fill(exit.data, exit.size, required(value));
        break;
      case "HYPERCALL":
        this.putReturn(required(value as bigint | undefined));
        break;
      case "X86_RDMSR":
        view.setBigUint64(MSR_DATA_AT, required(value as bigint | undefined), true);
        view.setUint8(MSR_ERROR_AT, 0);
        break;
      case "X86_WRMSR":
        view.setUint8(MSR_ERROR_AT, 0);
        break;
    }
  }

  /** Writes a hypercall's answer into `kvm_run`. */
  putReturn(value: bigint): void {
    const { area } = this.context.vcpu;
    new DataView(area.buffer, area.byteOffset).setBigInt64(RETURN_AT, value, true);
  }

  /** Makes the exit that waits one with methods, for whoever decides about it. */
  hand(vcpu: Vcpu, serve: () => void): Exit {
    const handed = new HandedExit(this, vcpu, serve);
    this.exit = Object.assign(handed, this.context.decoder.decode());
    this.early = false;
    return this.exit;
  }
}

/** What an exit can do, beside what it was. */
class HandedExit implements Answerable<AccessData> {
  readonly #slot: ExitSlot;
  readonly #vcpu: Vcpu;
  readonly #serve: () => void;
  #answered = false;

  constructor(slot: ExitSlot, vcpu: Vcpu, serve: () => void) {
    this.#slot = slot;
    this.#vcpu = vcpu;
    this.#serve = serve;
  }

  get vcpu(): Vcpu {
    return this.#vcpu;
  }

  get answered(): boolean {
    return this.#answered;
  }

  answer(value?: AccessData): void {
    this.#slot.requireWaiting(this);
    this.#slot.put(value);
    this.#answered = true;
  }

  serve(): void {
    this.#slot.requireWaiting(this);
    this.#serve();
  }
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("the guest reads: answer(value) needs a value");
  return value;
}

/** Fills the items of an access, each of so many bytes. */
function fill(data: Uint8Array, sizeBytes: number, value: AccessData): void {
  if (value instanceof Uint8Array) {
    if (value.length < data.length) {
      throw new RangeError(`the guest reads ${data.length} bytes, the answer has ${value.length}`);
    }
    data.set(value.subarray(0, data.length));
    return;
  }
  const word = new DataView(new ArrayBuffer(8));
  word.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
  for (let i = 0; i < data.length; i++) data[i] = word.getUint8(i % sizeBytes);
}
