/**
 * The events of a run as the tracer receives them; text.ts words them as lines, json.ts as records.
 *
 * @module
 */

import type { BootPlan } from "../boot/plan.ts";
import type { VmExit } from "../exits/exit.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { MachineType } from "../machine/machine.ts";
import type { Outcome } from "../machine/outcome.ts";
import type { RunStatistics } from "../machine/statistics.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";

/** What a run begins with. */
export interface RunStart {
  /** The version of vmexit. */
  readonly version: string;
  /** The image's path. */
  readonly image: string;
  readonly plan: BootPlan;
  readonly machine: MachineType;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly memory: Pick<GuestMemory, "slots" | "holes">;
}

/** When an exit happened, and where. */
export interface Moment {
  /** The exit's number in the run, from 1. */
  readonly n: number;
  /** Microseconds since the guest was first entered. */
  readonly tUs: number;
  /** The vCPU. */
  readonly cpu: number;
  /** Microseconds in the guest since the record before, where measured. */
  readonly guestUs: number | undefined;
}

/** One exit. */
export interface TracedExit extends Moment {
  readonly exit: VmExit;
  /** Who served it, where a device did. */
  readonly handler: string | undefined;
}

/** One memory fault. */
export interface TracedFault extends Moment {
  readonly fault: MemoryFault;
  /** How it ended: `resolved: lazy`. */
  readonly verdict: string;
}

/** A finished run. */
export interface RunEnd {
  readonly outcome: Outcome;
  readonly statistics: RunStatistics;
  /** Microseconds from the first entry to the end. */
  readonly tUs: number;
}

/** An outcome that is an unresolved memory fault. */
export type UnresolvedFault = Extract<Outcome, { kind: "memory_fault" }>;
