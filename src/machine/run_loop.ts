/**
 * The run loop: enter the guest, see why it came out, serve that, again.
 *
 * @module
 */

import { KVM_EXIT, KVM_SYSTEM_EVENT } from "../../ffi/kvm_consts.ts";
import type { PortBus } from "../devices/bus.ts";
import type { ExitDecoder } from "../exits/decode.ts";
import type { DebugExit, VmExit } from "../exits/exit.ts";
import { RunResult } from "../kvm/run_result.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { isDisguisedMmio } from "../faults/classify.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { slotAt } from "../memory/slots.ts";
import { serveHypercall } from "./hypercall.ts";
import type { FaultHandler, FaultOrigin } from "../faults/handler.ts";
import type { MmioIo } from "./mmio_io.ts";
import { type MsrHandler, serveMsr } from "./msr.ts";
import type { Outcome } from "./outcome.ts";
import type { PortIo } from "./port_io.ts";
import type { RunStatistics } from "./statistics.ts";
import type { UnclaimedAccesses } from "./unclaimed.ts";

/** Somebody who looks at exits. */
export interface ExitObserver {
  /** By exit reason: nonzero where the observer wants to see it. */
  readonly wanted: Uint8Array;
  /**
   * Called after the exit was served, before the guest runs again.
   *
   * @param handler who served it, where a device did: `uart0`
   */
  exit(exit: VmExit, cpu: number, handler: string | undefined): void;
  /**
   * Called for a memory fault instead, under the reason `MEMORY_FAULT`.
   *
   * @param verdict what became of it: `resolved: lazy, supplied 0x1000 bytes`
   */
  fault(fault: MemoryFault, cpu: number, verdict: string): void;
}

/** What the vCPUs of a machine have in common. */
export interface RunControl {
  /** Set by whoever wants the run to end: an exit, a device, the output. Its first setting counts. */
  stop: Outcome | undefined;
  /** Some vCPU's fault waits for the instruction decoder to be loaded. */
  waits: boolean;
  /** The vCPUs that run on threads of their own. */
  others: OtherVcpus | undefined;
  /** Who serves exits. Default: {@linkcode serve}. */
  readonly serve?: ServeExit;
}

/**
 * Serves what a vCPU came out of the guest with.
 *
 * @returns false when the run has ended, or the exit has to wait: the vCPU must not be entered
 */
export type ServeExit = (context: RunContext, result: RunResult) => boolean;

/** The vCPUs besides the one that the loop enters. */
export interface OtherVcpus {
  /** Serves exits of theirs. @returns false when the loop is to end */
  serve(): boolean;
  /** The guest came out, and is not entered before {@linkcode serve}. */
  left(): void;
  /** Whether it came out for one of them. */
  wasKicked(): boolean;
}

/** All that one vCPU's exits are served with. */
export interface RunContext {
  readonly control: RunControl;
  readonly vcpu: Vcpu;
  readonly decoder: ExitDecoder;
  readonly memory: GuestMemory;
  readonly io: PortIo;
  readonly ports: PortBus;
  readonly mmio: MmioIo;
  readonly msrs: MsrHandler;
  readonly faults: FaultHandler;
  readonly statistics: RunStatistics;
  readonly observer: ExitObserver;
  /** End the run after so many exits. */
  readonly maxExits: number;
  /** Decides on accesses that no device claims. */
  readonly unclaimed: Pick<UnclaimedAccesses, "port" | "gpa">;
  /** Called for a debug exit: keeps single steps and breakpoints going. */
  debugged(exit: DebugExit): Outcome | undefined;
  /** This vCPU's fault that waits for the instruction decoder to be loaded. */
  pending: FaultOrigin | undefined;
  /** What the vCPU came out with, where that is to be served when the loop goes on. */
  held?: RunResult | undefined;
}

/**
 * Runs the guest until the run ends, a signal interrupts it, or a fault has to wait.
 *
 * @param context the first vCPU's, which runs on this thread
 * @returns the outcome, or `undefined` when it may go on
 */
export function runLoop(context: RunContext): Outcome | undefined {
  const { vcpu, statistics, control } = context;
  const { others } = control;
  const serveResult = control.serve ?? serve;
  const held = context.pending ? RunResult.exit : context.held;
  control.waits = false;
  context.held = undefined;
  if (held !== undefined && !serveResult(context, held)) return control.stop;
  while (!isOver(context) && (!others || others.serve())) {
    statistics.enter();
    const result = vcpu.run();
    statistics.leave();
    others?.left();
    if (result === RunResult.interrupted) {
      if (!others?.wasKicked()) break;
    } else if (!serveResult(context, result)) break;
  }
  return control.stop;
}

/** Whether the run has ended. That there were as many exits as allowed ends it, too. */
export function isOver({ control, statistics, maxExits }: RunContext): boolean {
  if (statistics.exits >= maxExits) control.stop ??= { kind: "max_exits", limit: maxExits };
  return control.stop !== undefined;
}

/** Serves what a vCPU came out of the guest with: {@linkcode ServeExit}. */
export function serve(context: RunContext, result: RunResult): boolean {
  const { control, pending, vcpu } = context;
  let outcome: Outcome | undefined;
  if (pending) outcome = serveFault(context, pending);
  else if (result === RunResult.exit) outcome = serveExit(context, vcpu.exitReason);
  else if (result !== RunResult.notRunnable) outcome = serveFailure(context, result);
  control.stop ??= outcome;
  if (control.stop && control.others) control.stop = { cpu: vcpu.id, ...control.stop };
  return !control.stop && !context.pending;
}

/** Serves an exit. @returns an outcome if it ends the run */
function serveExit(context: RunContext, reason: number): Outcome | undefined {
  const { io, ports, mmio, statistics, observer, vcpu } = context;
  statistics.count(reason);
  let handler: string | undefined;
  let outcome: Outcome | undefined;
  switch (reason) {
    case KVM_EXIT.IO: {
      const port = io.port;
      io.serve(ports);
      handler = ports.deviceAt(port)?.name;
      statistics.countPort(port);
      if (handler === undefined && context.unclaimed.port(port)) outcome = unhandled(context);
      break;
    }
    case KVM_EXIT.MMIO: {
      const gpa = mmio.gpa;
      statistics.countGpa(gpa);
      if (isDisguisedMmio(slotAt(context.memory.slots, gpa)?.kind, mmio.isWrite)) {
        return serveFault(context, {
          shape: "disguised",
          disguise: "mmio",
          errno: 0,
          exit: context.decoder.decode(),
        });
      }
      mmio.serve();
      handler = mmio.bus.deviceAt(gpa)?.name;
      if (handler === undefined && context.unclaimed.gpa(gpa)) outcome = unhandled(context);
      break;
    }
    case KVM_EXIT.IRQ_WINDOW_OPEN:
    case KVM_EXIT.SET_TPR:
    case KVM_EXIT.X86_BUS_LOCK:
      break;
    case KVM_EXIT.HYPERCALL:
      handler = serveHypercall(context.decoder.decode(), vcpu.area, context.memory);
      break;
    case KVM_EXIT.X86_RDMSR:
    case KVM_EXIT.X86_WRMSR:
      handler = serveMsr(context.decoder.decode(), vcpu, context.msrs);
      break;
    case KVM_EXIT.INTERNAL_ERROR:
    case KVM_EXIT.SHUTDOWN:
      return serveFault(context, disguisedAs(context.decoder.decode()));
    default:
      outcome = unusualExit(context, context.decoder.decode());
  }
  if (observer.wanted[reason & 0xff]) {
    observer.exit(context.decoder.decode(), vcpu.id, handler);
  }
  return outcome;
}

/** The exit as it stands, as the reason to end the run. */
function unhandled({ decoder }: RunContext): Outcome {
  return { kind: "unhandled", exit: decoder.decode() };
}

/** What an exit means that is neither I/O nor routine. */
function unusualExit(context: RunContext, exit: VmExit): Outcome | undefined {
  switch (exit.reason) {
    case "HLT":
      return { kind: "halt" };
    case "SHUTDOWN":
      return { kind: "shutdown", ...(exit.rip === undefined ? {} : { rip: exit.rip }) };
    case "SYSTEM_EVENT":
      if (exit.type === KVM_SYSTEM_EVENT.SHUTDOWN) return { kind: "power_off" };
      if (exit.type === KVM_SYSTEM_EVENT.RESET) return { kind: "reset" };
      return { kind: "unhandled", exit };
    case "INTERNAL_ERROR":
      return { kind: "internal_error", exit };
    case "FAIL_ENTRY":
      return { kind: "fail_entry", exit };
    case "DEBUG":
      return context.debugged(exit);
    default:
      return { kind: "unhandled", exit };
  }
}

/** A failed emulation or a triple fault as the memory fault that it may be in disguise. */
export function disguisedAs(exit: VmExit): FaultOrigin {
  const disguise = exit.reason === "SHUTDOWN" ? "shutdown" : "emulation";
  return { shape: "disguised", disguise, errno: 0, exit };
}

/** What a failed `KVM_RUN` means: a memory fault, or an errno without a meaning for a guest. */
function serveFailure(context: RunContext, result: RunResult): Outcome | undefined {
  const errno = context.vcpu.lastErrno;
  if (result === RunResult.failed) return { kind: "run_failed", errno };
  context.statistics.count(KVM_EXIT.MEMORY_FAULT);
  if (result === RunResult.unannotatedFault) {
    return serveFault(context, { shape: "unannotated", errno });
  }
  return serveFault(context, { shape: "annotated", errno, exit: context.decoder.decode() });
}

/** Lets the fault handler deal with a fault, or leaves it pending until that can be done. */
function serveFault(context: RunContext, origin: FaultOrigin): Outcome | undefined {
  const { observer, vcpu, statistics } = context;
  const waited = context.pending !== undefined;
  context.pending = undefined;
  const verdict = context.faults.handle(origin, waited);
  switch (verdict.kind) {
    case "needs_decoder":
      context.pending = origin;
      context.control.waits = true;
      return undefined;
    case "no_fault": {
      const { exit } = origin;
      if (!exit) return undefined;
      if (observer.wanted[exit.code & 0xff]) observer.exit(exit, vcpu.id, undefined);
      return unusualExit(context, exit);
    }
    case "served":
      if (observer.wanted[KVM_EXIT.MMIO]) {
        observer.exit(context.decoder.decode(), vcpu.id, "memory");
      }
      return undefined;
    case "resolved": {
      statistics.faultsResolved++;
      const { resolver, note } = verdict.attempt;
      if (observer.wanted[KVM_EXIT.MEMORY_FAULT]) {
        observer.fault(verdict.fault, vcpu.id, `resolved: ${resolver}, ${note}`);
      }
      return undefined;
    }
    case "unresolved": {
      const { fault, attempts, state } = verdict;
      if (observer.wanted[KVM_EXIT.MEMORY_FAULT]) observer.fault(fault, vcpu.id, "unresolved");
      return { kind: "memory_fault", fault, attempts, state };
    }
  }
}
