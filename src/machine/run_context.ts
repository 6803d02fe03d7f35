/**
 * The run loop's context: everything that serves one vCPU's exits, and the part that the
 * vCPUs of a machine share.
 *
 * @module
 */

import type { MmioBus, PortBus } from "../devices/bus.ts";
import type { VmExit } from "../exits/exit.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { FaultHandler } from "../faults/handler.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { GuestDebug } from "./guest_debug.ts";
import type { MsrDevice } from "./msr.ts";
import type { Outcome } from "./outcome.ts";
import type { RunStatistics } from "./statistics.ts";
import type { UnclaimedAccesses } from "./unclaimed.ts";

/** An observer of exits: the trace. */
export interface ExitObserver {
  /** By exit reason: nonzero if the observer is to see it. */
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
   * @param verdict how it was dealt with: `resolved: lazy, supplied 0x1000 bytes`
   */
  fault(fault: MemoryFault, cpu: number, verdict: string): void;
}

/**
 * What follows when an exit was looked at: `continue` to enter the guest, `wait` because the
 * exit was handed out and is served later, `stop` because the run has ended.
 */
export type Next = "continue" | "wait" | "stop";

/** Serves what a vCPU came out of the guest with. */
export type ServeExit = (context: RunContext) => Next;

/** The parts that the vCPUs of a machine share. */
export interface RunControl {
  /** How the run ended or is to end: set by an exit, a device, the output. The first one counts. */
  outcome: Outcome | undefined;
  /** The vCPUs that run on their own threads. */
  secondaries: Secondaries | undefined;
  /** Serves exits. */
  readonly serve: ServeExit;
}

/** The vCPUs besides the one that the loop enters. */
export interface Secondaries {
  /** The next one with an exit to serve; none when it is the first vCPU's turn. */
  next(): RunContext | undefined;
  /** The exit was served: the vCPU enters the guest again. */
  resume(context: RunContext): void;
  /** The first vCPU came out of the guest, and is not entered before {@linkcode next}. */
  firstCameOut(): void;
  /** Whether the first vCPU came out because of a kick by one of them. */
  wasKicked(): boolean;
}

/** All that one vCPU's exits are served with. */
export interface RunContext {
  readonly control: RunControl;
  readonly vcpu: Vcpu;
  readonly memory: GuestMemory;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly msrs: MsrDevice;
  readonly faults: FaultHandler;
  readonly statistics: RunStatistics;
  readonly observer: ExitObserver;
  /** End the run after this many exits. */
  readonly maxExits: number;
  /** Decides on accesses that no device claims. */
  readonly unclaimed: Pick<UnclaimedAccesses, "port" | "gpa">;
  /** Keeps single steps and breakpoints going. */
  readonly debug: Pick<GuestDebug, "handle" | "isStepOver" | "instructionAt">;
}

/** Whether the run has ended. That there were as many exits as allowed ends it, too. */
export function isOver({ control, statistics, maxExits }: RunContext): boolean {
  if (statistics.exits >= maxExits) control.outcome ??= { kind: "max_exits", limit: maxExits };
  return control.outcome !== undefined;
}
