/**
 * Where exits are handed out before anybody serves them, and where those that
 * were answered pass by the devices.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { RunResult } from "../kvm/run_result.ts";
import { slotAt } from "../memory/slots.ts";
import { isDisguisedMmio } from "../faults/classify.ts";
import { disguisedAs, type RunContext, serve, type ServeExit } from "../machine/run_loop.ts";
import { type Exit, UnansweredExitError } from "./exit.ts";
import { answersReads } from "./handlers.ts";
import type { ExitSlot } from "./slot.ts";
import type { Vcpu } from "./vcpu.ts";

/** Serves what devices do not. @returns whether it did */
export type ExitHandler = (slot: ExitSlot) => boolean;

/** The exits of all vCPUs of a machine. */
export class ExitDesk {
  /** Whether exits are handed out. */
  isHanding = false;
  /** The one that was handed out last, and waits. */
  handed: Exit | undefined;
  readonly #slots: ExitSlot[] = [];
  readonly #vcpus: readonly Vcpu[];
  readonly #isStrict: boolean;
  readonly #handlers: ReadonlyMap<number, ExitHandler>;

  /**
   * @param vcpus may be filled later
   * @param isStrict whether reads that nobody answers are errors, and not all ones
   * @param handlers by exit reason: asked before the run loop serves an exit
   */
  constructor(
    vcpus: readonly Vcpu[],
    isStrict: boolean,
    handlers: ReadonlyMap<number, ExitHandler>,
  ) {
    this.#vcpus = vcpus;
    this.#isStrict = isStrict;
    this.#handlers = handlers;
  }

  /** Adds a vCPU's slot, in the order of their ids. */
  add(slot: ExitSlot): void {
    this.#slots.push(slot);
  }

  /** Whether an exit of any vCPU waits that was not served. */
  get isWaiting(): boolean {
    return this.#slots.some(({ exit, context: { pending, held } }) =>
      exit !== undefined || pending !== undefined || held !== undefined
    );
  }

  /** Serves what a vCPU came out with, in the run loop's place. */
  readonly serve: ServeExit = (context, result) => {
    const slot = this.#slots[context.vcpu.id]!;
    if (slot.served) {
      slot.served = false;
      return !context.control.stop;
    }
    if (context.pending) return serve(context, result);
    const isHanded = this.isHanding && result === RunResult.exit && !isFault(context) &&
      !slot.isStepOver;
    if (!isHanded) {
      return this.#process(slot, result);
    }
    this.handed = slot.hand(this.#vcpus[context.vcpu.id]!, () => this.#serveEarly(slot));
    hold(context, result);
    return false;
  };

  /**
   * Serves the exit that was handed out. Where that leads to an exit for another part
   * of the same instruction, that is handed out instead, or served, too.
   */
  finishHanded(): void {
    this.handed = undefined;
    for (const slot of this.#slots) {
      const { exit, context } = slot;
      if (!exit) continue;
      if (slot.early) this.#catchUp(slot);
      else this.#process(slot, RunResult.exit);
      if (slot.exit !== exit) continue;
      slot.exit = undefined;
      slot.served = isElsewhere(context) && !context.pending;
    }
  }

  /**
   * Finishes the instructions that vCPUs have begun, after the run: their registers are
   * final then. To be called when none of them runs.
   */
  settle(): void {
    for (const slot of this.#slots) {
      const { context } = slot;
      const isServed = isElsewhere(context) ? slot.served : context.held === undefined;
      if (slot.exit || context.pending || !isServed) continue;
      if (slot.finish()) {
        slot.catchUp();
      } else {
        // What came next of the same instruction is served when the guest goes on.
        slot.served = false;
        if (!isElsewhere(context)) context.held = RunResult.exit;
      }
    }
  }

  #serveEarly(slot: ExitSlot): void {
    if (slot.early) return;
    this.#serveOnly(slot, RunResult.exit);
    slot.early = true;
  }

  /** Serves an exit and does what had to wait for that. @returns whether to enter the guest */
  #process(slot: ExitSlot, result: RunResult): boolean {
    if (this.#serveOnly(slot, result)) return this.#catchUp(slot);
    slot.served = isElsewhere(slot.context) && !slot.context.pending;
    return false;
  }

  #serveOnly(slot: ExitSlot, result: RunResult): boolean {
    const { context } = slot;
    context.held = result; // if something is thrown, the exit still waits
    const goes = this.#serveBy(slot, result);
    context.held = undefined;
    return goes;
  }

  #serveBy(slot: ExitSlot, result: RunResult): boolean {
    const { context } = slot;
    if (result !== RunResult.exit) return serve(context, result);
    const reason = context.vcpu.exitReason;
    const isDone = slot.exit?.answered && reason !== KVM_EXIT.DEBUG ||
      this.#handlers.get(reason)?.(slot);
    if (isDone) {
      context.statistics.count(reason);
      return !context.control.stop;
    }
    if (this.#isStrict) requireAnswer(context, reason);
    return serve(context, result);
  }

  /**
   * Finishes the instruction of an exit that was served where somebody may look at the
   * vCPU before it is entered again: one of several, while the exit of another waits.
   */
  #catchUp(slot: ExitSlot): boolean {
    const { context } = slot;
    if (slot.hasMore || this.#slots.length > 1) {
      if (!slot.finish()) return this.serve(context, RunResult.exit);
      slot.catchUp();
    }
    return !context.control.stop;
  }
}

/** Keeps an exit for when the run loop goes on, and ends it. */
function hold(context: RunContext, result: RunResult): void {
  context.held = result;
  context.control.waits = true;
}

/** Whether the vCPU runs on a thread of its own, which comes again with an exit that was not served. */
function isElsewhere({ vcpu }: RunContext): boolean {
  return vcpu.id > 0;
}

/** Whether an exit is a memory fault in disguise. */
function isFault(context: RunContext): boolean {
  const { vcpu, mmio, memory, faults, decoder } = context;
  switch (vcpu.exitReason) {
    case KVM_EXIT.MMIO:
      return isDisguisedMmio(slotAt(memory.slots, mmio.gpa)?.kind, mmio.isWrite);
    case KVM_EXIT.INTERNAL_ERROR:
    case KVM_EXIT.SHUTDOWN:
      return faults.isBehind(disguisedAs(decoder.decode()));
    default:
      return false;
  }
}

/** @throws {UnansweredExitError} for a read that nobody answers */
function requireAnswer(context: RunContext, reason: number): void {
  const { io, ports, mmio, decoder } = context;
  const isUnanswered = reason === KVM_EXIT.IO
    ? !io.isOut && !answersReads(ports.deviceAt(io.port))
    : reason === KVM_EXIT.MMIO && !mmio.isWrite && !isFault(context) &&
      !answersReads(mmio.bus.deviceAt(mmio.gpa));
  if (isUnanswered) throw new UnansweredExitError(decoder.decode());
}
