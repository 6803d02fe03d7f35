/**
 * Serves what a vCPU came out of the guest with: an access goes to its device, a fault to
 * the fault handler, and what ends the run becomes its outcome.
 *
 * @module
 */

import { KVM_EXIT, KVM_SYSTEM_EVENT } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { VmExit } from "../exits/exit.ts";
import { failedInstruction } from "../faults/failed_instruction.ts";
import { type FaultOrigin, originOf } from "../faults/origin.ts";
import { RunResult } from "../kvm/run_result.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { describeRefusal } from "../memory/host_limits.ts";
import { isResetState } from "../x86/registers.ts";
import { decodeDebugExit } from "./guest_debug.ts";
import { serveHypercall } from "./hypercall.ts";
import { serveMsr } from "./msr.ts";
import type { Outcome } from "./outcome.ts";
import type { Next, RunContext } from "./run_context.ts";

/** Serves the exit or fault of a vCPU. Where it throws, the exit is still to be served. */
export function serve(context: RunContext): Next {
  const { cycle } = context.vcpu;
  const outcome = cycle.result === RunResult.exit
    ? serveExit(context, cycle.page.reason)
    : serveFailure(context, cycle.result);
  cycle.served();
  return outcome || context.control.outcome ? end(context, outcome) : "continue";
}

/** Serves a fault that `KVM_RUN` did not report: a guest that makes no progress. */
export function serveStall(context: RunContext, origin: FaultOrigin): void {
  end(context, serveFault(context, origin));
}

/** Ends the run, if anything did. The first outcome counts; among several vCPUs it names its own. */
function end({ control, vcpu }: RunContext, outcome: Outcome | undefined): Next {
  if (outcome) control.outcome ??= outcome;
  if (!control.outcome) return "continue";
  if (control.secondaries) control.outcome = { cpu: vcpu.id, ...control.outcome };
  return "stop";
}

/** Serves an exit. @returns an outcome if it ends the run */
function serveExit(context: RunContext, reason: number): Outcome | undefined {
  const { statistics, observer, ports, mmio, vcpu: { page, id } } = context;
  const origin = originOf(page, context.memory);
  if (origin) return serveFault(context, origin);
  if (reason === KVM_EXIT.DEBUG) return serveDebug(context);
  statistics.count(reason);
  let handler: string | undefined;
  let outcome: Outcome | undefined;
  switch (reason) {
    case KVM_EXIT.IO: {
      const { port } = page.io;
      statistics.countPort(port);
      handler = page.io.serve(ports)?.name;
      if (handler === undefined && context.unclaimed.port(port)) outcome = unhandled(context);
      break;
    }
    case KVM_EXIT.MMIO: {
      const { gpa } = page.mmio;
      statistics.countGpa(gpa);
      handler = page.mmio.serve(mmio)?.name;
      if (handler === undefined && context.unclaimed.gpa(gpa)) outcome = unhandled(context);
      break;
    }
    case KVM_EXIT.IRQ_WINDOW_OPEN:
    case KVM_EXIT.SET_TPR:
    case KVM_EXIT.X86_BUS_LOCK:
      break;
    case KVM_EXIT.HYPERCALL:
      handler = serveHypercall(page, context.memory);
      break;
    case KVM_EXIT.X86_RDMSR:
    case KVM_EXIT.X86_WRMSR:
      handler = serveMsr(page, id, context.msrs);
      break;
    default:
      outcome = unusualExit(context, decodeExit(page));
  }
  if (observer.wanted[reason & 0xff]) observer.exit(decodeExit(page), id, handler);
  return outcome;
}

/** The exit as it stands, as the reason to end the run. */
function unhandled({ vcpu }: RunContext): Outcome {
  return { kind: "unhandled", exit: decodeExit(vcpu.page) };
}

/** The outcome of an exit that no device and no handler serves. */
function unusualExit(context: RunContext, exit: VmExit): Outcome | undefined {
  switch (exit.reason) {
    case "HLT":
      return { kind: "halt" };
    case "SHUTDOWN":
      if (exit.rip !== undefined) return { kind: "shutdown", rip: exit.rip };
      return {
        kind: "shutdown",
        ...(context.vcpu.page.rip === undefined ? {} : { registersLost: true }),
      };
    case "SYSTEM_EVENT":
      if (exit.type === KVM_SYSTEM_EVENT.SHUTDOWN) return { kind: "power_off" };
      if (exit.type === KVM_SYSTEM_EVENT.RESET) return { kind: "reset" };
      return { kind: "unhandled", exit };
    case "INTERNAL_ERROR": {
      const instruction = failedInstruction(exit, context.vcpu);
      return {
        kind: "internal_error",
        exit,
        ...(instruction === undefined ? {} : { instruction }),
      };
    }
    case "FAIL_ENTRY":
      return { kind: "fail_entry", exit };
    default:
      return { kind: "unhandled", exit };
  }
}

/**
 * Serves a step or a breakpoint. The extra step that gets past a
 * breakpoint is neither counted nor shown.
 */
function serveDebug({ debug, observer, statistics, vcpu }: RunContext): Outcome | undefined {
  const exit = decodeDebugExit(vcpu.page);
  const isAskedFor = !debug.isStepOver(exit);
  if (isAskedFor) statistics.count(exit.code);
  const outcome = debug.handle(exit);
  if (isAskedFor && observer.wanted[exit.code]) {
    const text = debug.instructionAt(exit.pc);
    const shown = text === undefined ? exit : { ...exit, instructionText: text };
    observer.exit(shown, vcpu.id, undefined);
  }
  return outcome;
}

/** What a failed `KVM_RUN` means: a memory fault, or an errno that has no meaning for a guest. */
function serveFailure(context: RunContext, result: RunResult): Outcome | undefined {
  const { errno, page } = context.vcpu.cycle;
  if (result === RunResult.failed) return { kind: "run_failed", errno };
  return serveFault(
    context,
    result === RunResult.annotatedFault
      ? { shape: "annotated", errno, exit: decodeExit(page) }
      : { shape: "unannotated", errno },
  );
}

/**
 * Has the fault handler deal with what may be a memory fault. It is counted by what it turns
 * out to be, as the trace shows it.
 */
function serveFault(context: RunContext, origin: FaultOrigin): Outcome | undefined {
  const { observer, vcpu: { id, page }, statistics } = context;
  const verdict = context.faults.handle(origin);
  switch (verdict.kind) {
    case "no_fault": {
      if (!origin.exit) return undefined;
      const exit = withoutLostRip(origin.exit, context.vcpu);
      statistics.count(exit.code);
      if (observer.wanted[exit.code & 0xff]) observer.exit(exit, id, undefined);
      return unusualExit(context, exit);
    }
    case "served":
      statistics.count(KVM_EXIT.MMIO);
      statistics.countGpa(page.mmio.gpa);
      if (observer.wanted[KVM_EXIT.MMIO]) observer.exit(decodeExit(page), id, "memory");
      return undefined;
    case "resolved": {
      statistics.count(KVM_EXIT.MEMORY_FAULT);
      statistics.faultsResolved++;
      const { resolver, note } = verdict.attempt;
      if (observer.wanted[KVM_EXIT.MEMORY_FAULT]) {
        observer.fault(verdict.fault, id, `resolved: ${resolver}, ${note}`);
      }
      return undefined;
    }
    case "unresolved": {
      statistics.count(KVM_EXIT.MEMORY_FAULT);
      const { fault, attempts, state } = verdict;
      if (observer.wanted[KVM_EXIT.MEMORY_FAULT]) observer.fault(fault, id, "unresolved");
      return { kind: "memory_fault", fault, attempts, state };
    }
    case "refused":
      return { kind: "host_limit", what: describeRefusal(verdict.refusal) };
  }
}

/** R13: a triple fault's exit without RIP, where KVM has reset the vCPU. */
function withoutLostRip(exit: VmExit, vcpu: Vcpu): VmExit {
  if (exit.reason !== "SHUTDOWN" || exit.rip === undefined) return exit;
  const { rip, ...rest } = exit;
  return isResetState({ rip }, vcpu.sregs()) ? rest : exit;
}
