/**
 * The run loop: enter the guest, see why it came out, serve that, again.
 *
 * @module
 */

import { KVM_EXIT, KVM_SYSTEM_EVENT } from "../../ffi/kvm_consts.ts";
import type { ExitDecoder } from "../exits/decode.ts";
import type { VmExit } from "../exits/exit.ts";
import { RunResult, type Vcpu } from "../kvm/vcpu.ts";
import type { MmioIo, PortIo } from "./access.ts";
import type { Outcome } from "./outcome.ts";
import type { RunStatistics } from "./statistics.ts";

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
}

/** All that one vCPU's loop works with. */
export interface RunContext {
  readonly vcpu: Vcpu;
  readonly decoder: ExitDecoder;
  readonly ports: PortIo;
  readonly mmio: MmioIo;
  readonly statistics: RunStatistics;
  readonly observer: ExitObserver;
  /** End the run after so many exits. */
  readonly maxExits: number;
  /** Called for an access that no device claims. @returns whether the run is to end */
  unclaimed(space: "port" | "gpa", address: number): boolean;
  /** Called for a debug exit: keeps single steps and breakpoints going. */
  debugged(exit: VmExit): Outcome | undefined;
  /** Set by whoever wants the run to end: a device, the output, another thread. */
  stop: Outcome | undefined;
}

/**
 * Runs the guest until the run ends or a signal interrupts it.
 *
 * @returns the outcome, or `undefined` when it was interrupted and may go on
 */
export function runLoop(context: RunContext): Outcome | undefined {
  const { vcpu, statistics, observer } = context;
  for (;;) {
    statistics.enter();
    const result = vcpu.run();
    statistics.leave();
    if (result === RunResult.interrupted) return context.stop;
    if (result === RunResult.notRunnable) continue;
    if (result !== RunResult.exit) return runFailure(context, result);

    const reason = vcpu.exitReason;
    statistics.count(reason);
    let handler: string | undefined;
    let outcome: Outcome | undefined;
    switch (reason) {
      case KVM_EXIT.IO: {
        const port = context.ports.port;
        context.ports.serve();
        handler = context.ports.bus.deviceAt(port)?.name;
        statistics.countPort(port);
        if (handler === undefined && context.unclaimed("port", port)) outcome = unhandled(context);
        break;
      }
      case KVM_EXIT.MMIO: {
        const gpa = context.mmio.gpa;
        context.mmio.serve();
        handler = context.mmio.bus.deviceAt(gpa)?.name;
        statistics.countGpa(gpa);
        if (handler === undefined && context.unclaimed("gpa", gpa)) outcome = unhandled(context);
        break;
      }
      case KVM_EXIT.IRQ_WINDOW_OPEN:
      case KVM_EXIT.SET_TPR:
      case KVM_EXIT.X86_BUS_LOCK:
        break;
      default:
        outcome = unusualExit(context, context.decoder.decode());
    }
    if (observer.wanted[reason & 0xff]) {
      observer.exit(context.decoder.decode(), vcpu.id, handler);
    }
    outcome ??= context.stop;
    if (outcome) return outcome;
    if (statistics.exits >= context.maxExits) {
      return { kind: "max_exits", limit: context.maxExits };
    }
  }
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

/** What a failed `KVM_RUN` means: a memory fault, or an errno without a meaning for a guest. */
function runFailure({ vcpu, decoder }: RunContext, result: RunResult): Outcome {
  const errno = vcpu.lastErrno;
  if (result === RunResult.annotatedFault) {
    const exit = decoder.decode();
    if (exit.reason === "MEMORY_FAULT") {
      const { gpa, size, rip } = exit;
      return { kind: "memory_fault", errno, gpa, size, ...(rip === undefined ? {} : { rip }) };
    }
  }
  if (result === RunResult.failed) return { kind: "run_failed", errno };
  return { kind: "memory_fault", errno, rip: vcpu.regs().rip };
}
