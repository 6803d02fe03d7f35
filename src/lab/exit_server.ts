/**
 * Serves the run loop's exits for the library: a loop over `exits()` gets them first, then the
 * program's handlers, then the machine's devices.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { VmExit } from "../exits/exit.ts";
import { originOf } from "../faults/origin.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import { RunResult } from "../kvm/run_result.ts";
import { decodeDebugExit } from "../machine/guest_debug.ts";
import type { Next, RunContext, ServeExit } from "../machine/run_context.ts";
import { serve } from "../machine/serve.ts";
import { type AccessData, type Answerable, type Exit, UnansweredExitError } from "./exit.ts";
import { type ExitInstruction, exitInstruction } from "./exit_instruction.ts";
import { answersReads } from "./handlers.ts";
import { fieldsText, showAs } from "./inspect.ts";
import type { LiveVcpu } from "./vcpu.ts";

/** Serves an exit in place of the machine's devices. @returns whether it did */
export type ExitHandler = (vcpu: LiveVcpu) => boolean;

/** Serves the exits of all vCPUs of a machine. */
export class ExitServer {
  /** Whether exits are handed out, to a loop over `exits()`. */
  handsOut = false;
  /** The exit that was handed out last and has not been served. */
  #handed: HandedExit | undefined;
  readonly #vcpus: readonly LiveVcpu[];
  readonly #isStrict: boolean;
  readonly #handlers: ReadonlyMap<number, ExitHandler>;

  /**
   * @param vcpus in the order of their ids; may be filled later
   * @param isStrict whether a read without an answer is an error, and not all ones
   * @param handlers by exit reason: asked before the devices
   */
  constructor(
    vcpus: readonly LiveVcpu[],
    isStrict: boolean,
    handlers: ReadonlyMap<number, ExitHandler>,
  ) {
    this.#vcpus = vcpus;
    this.#isStrict = isStrict;
    this.#handlers = handlers;
  }

  /** The exit that was handed out. */
  get handed(): Exit | undefined {
    return this.#handed as Exit | undefined;
  }

  /** Forgets the exit that was handed out: its vCPU is another one now. */
  forget(): void {
    this.#handed = undefined;
  }

  /** Serves what a vCPU came out with: {@linkcode ServeExit}. */
  readonly serve: ServeExit = (context) => {
    const vcpu = this.#vcpus[context.vcpu.id]!;
    if (!this.handsOut || !isForLoop(vcpu)) return this.#serveNow(vcpu);
    const { page } = context.vcpu;
    const exit = page.reason === KVM_EXIT.DEBUG ? decodeDebugExit(page) : decodeExit(page);
    this.#handed = Object.assign(new HandedExit(this, vcpu), exit);
    return "wait";
  };

  /** Serves the exit that was handed out, unless that is done. May hand out its next part. */
  serveHanded(): void {
    const handed = this.#handed;
    if (!handed) return;
    this.#serveNow(handed.vcpu);
    if (this.#handed === handed) this.#handed = undefined;
  }

  /**
   * Finishes the instructions of served exits, after the run: registers are final then. To
   * be called when no vCPU runs. Where that leads to an exit for the next part of the same
   * instruction, it is served when the guest runs again.
   */
  finishAll(): void {
    for (const { context } of this.#vcpus) {
      if (context.vcpu.cycle.state === "served") context.vcpu.cycle.finish();
    }
  }

  /** Serves an exit that was handed out, once, before the loop continues. */
  serveEarly(handed: object, { context }: LiveVcpu): void {
    this.requireHanded(handed, context);
    if (context.vcpu.cycle.state === "exited") this.#serveOnce(context);
  }

  /** @throws {DisposedError} @throws {Error} when the exit was served, and the guest ran on */
  requireHanded(handed: object, { vcpu }: Pick<RunContext, "vcpu">): void {
    if (vcpu.disposed) throw new DisposedError(vcpu.what);
    if (this.#handed !== handed) throw new Error("the guest has run on since this exit");
  }

  /** Serves an exit, and finishes its instruction where that cannot wait for the next entry. */
  #serveNow({ context }: LiveVcpu): Next {
    const { cycle } = context.vcpu;
    if (cycle.state === "exited") {
      const next = this.#serveOnce(context);
      if (next !== "continue") return next;
    }
    // The registers of this vCPU may be read at the exit of another one.
    const mustFinish = cycle.hasDeferred || this.#vcpus.length > 1;
    if (mustFinish && !cycle.finish()) return this.serve(context);
    return context.control.outcome ? "stop" : "continue";
  }

  #serveOnce(context: RunContext): Next {
    const { control, statistics, vcpu: { cycle, page, id } } = context;
    if (cycle.result !== RunResult.exit) return serve(context);
    const { reason } = page;
    const vcpu = this.#vcpus[id]!;
    // Stepping is kept going all the same.
    const isAnswered = this.#handed?.vcpu === vcpu && this.#handed.answered &&
      reason !== KVM_EXIT.DEBUG;
    if (isAnswered || this.#handlers.get(reason)?.(vcpu)) {
      statistics.count(reason);
      cycle.served();
      return control.outcome ? "stop" : "continue";
    }
    if (this.#isStrict) requireAnswer(context);
    return serve(context);
  }
}

/** What an exit can do, besides what it was. */
class HandedExit implements Answerable<AccessData> {
  readonly #server: ExitServer;
  readonly #vcpu: LiveVcpu;
  #answered = false;
  #instruction: ExitInstruction | undefined | null = null;

  static {
    showAs<HandedExit>(this.prototype, (self) => self.#text());
  }

  constructor(server: ExitServer, vcpu: LiveVcpu) {
    this.#server = server;
    this.#vcpu = vcpu;
  }

  get vcpu(): LiveVcpu {
    return this.#vcpu;
  }

  get answered(): boolean {
    return this.#answered;
  }

  get instruction(): ExitInstruction | undefined {
    if (this.#instruction === null) {
      const { context } = this.#vcpu;
      this.#server.requireHanded(this, context);
      this.#instruction = exitInstruction(this as unknown as VmExit, context);
    }
    return this.#instruction;
  }

  #text(): string {
    const { reason, code: _, ...fields } = this as unknown as VmExit;
    const isCurrent = this.#server.handed === this as unknown as Exit;
    const known = isCurrent || this.#instruction ? this.instruction : undefined;
    const instruction = known && { rip: known.rip, text: known.text };
    const { answered } = this;
    return fieldsText(reason, { ...fields, instruction, vcpu: this.#vcpu.id, answered });
  }

  answer(value?: AccessData): void {
    const { context } = this.#vcpu;
    this.#server.requireHanded(this, context);
    context.vcpu.page.reply(value);
    this.#answered = true;
  }

  serve(): void {
    this.#server.serveEarly(this, this.#vcpu);
  }
}

/** Whether a loop over exits gets it: no memory fault, and no step that only KVM needs. */
function isForLoop({ context, isStepOver }: LiveVcpu): boolean {
  return context.vcpu.cycle.result === RunResult.exit && !isFault(context) && !isStepOver;
}

/** Whether an exit is a memory fault in disguise. */
function isFault({ faults, memory, vcpu }: RunContext): boolean {
  const origin = originOf(vcpu.page, memory);
  return origin !== undefined && (origin.disguise === "mmio" || faults.isBehind(origin));
}

/** @throws {UnansweredExitError} for a read that no handler and no device answers */
function requireAnswer(context: RunContext): void {
  const { ports, mmio, vcpu: { page } } = context;
  const isUnanswered = page.reason === KVM_EXIT.IO
    ? !page.io.isOut && !answersReads(ports.deviceAt(page.io.port))
    : page.reason === KVM_EXIT.MMIO && !page.mmio.isWrite && !isFault(context) &&
      !answersReads(mmio.deviceAt(page.mmio.gpa));
  if (isUnanswered) throw new UnansweredExitError(decodeExit(page));
}
