/**
 * How a run ended: the outcome of the run loop, its exit code and its text.
 *
 * @module
 */

import { errnoName, errnoText } from "../../ffi/errno.ts";
import { debugExitCode } from "../devices/debug_exit_port.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { detailsText } from "../exits/describe.ts";
import type { VmExit } from "../exits/exit.ts";
import { hex } from "../hex.ts";
import { type Attempt, faultText, type MemoryFault } from "../faults/fault.ts";
import type { CpuState } from "../faults/locate.ts";

/** Why a run ended. */
export type Outcome = Ending & {
  /** Where there are several vCPUs: the one whose exit it was. */
  readonly cpu?: number;
};

/** Why a run ended, without the vCPU. */
export type Ending =
  | { readonly kind: "halt" }
  | { readonly kind: "power_off" }
  | { readonly kind: "reset" }
  | { readonly kind: "panic" }
  | { readonly kind: "debug_exit"; readonly value: number }
  | {
    readonly kind: "shutdown";
    readonly rip?: bigint;
    /** KVM has reset the vCPU: RIP and all other registers of the guest are gone. */
    readonly registersLost?: boolean;
  }
  | {
    readonly kind: "memory_fault";
    readonly fault: MemoryFault;
    /** What was tried. */
    readonly attempts: readonly Attempt[];
    /** The registers at the fault. */
    readonly state: CpuState;
  }
  | {
    readonly kind: "internal_error";
    readonly exit: VmExit;
    /** The instruction that KVM could not emulate, where its bytes are known. */
    readonly instruction?: string;
  }
  | { readonly kind: "fail_entry"; readonly exit: VmExit }
  | { readonly kind: "unhandled"; readonly exit: VmExit }
  | { readonly kind: "max_exits"; readonly limit: number }
  | { readonly kind: "run_failed"; readonly errno: number }
  | { readonly kind: "timeout"; readonly timeoutMs: number }
  | { readonly kind: "interrupted"; readonly signal: string }
  /** The host refused memory that the guest needs. */
  | { readonly kind: "host_limit"; readonly what: string }
  | { readonly kind: "stopped" }
  /** Asked for at the console. */
  | { readonly kind: "quit"; readonly keys: string }
  | { readonly kind: "output_closed" }
  | { readonly kind: "output_failed"; readonly what: string };

/** The name of an outcome. */
export type OutcomeKind = Outcome["kind"];

/**
 * The process exit code of an outcome: even, except for a guest's own choice by the
 * debug-exit port, which is always odd.
 */
export function exitCodeOf(outcome: Outcome): number {
  switch (outcome.kind) {
    case "debug_exit":
      return debugExitCode(outcome.value);
    case "halt":
    case "power_off":
    case "reset":
    case "output_closed":
    case "stopped":
      return EXIT_CODES.success.code;
    case "host_limit":
      return EXIT_CODES.kvm_unavailable.code;
    case "output_failed":
      return EXIT_CODES.output.code;
    case "quit":
      return EXIT_CODES.interrupted.code;
    default:
      return EXIT_CODES[outcome.kind].code;
  }
}

function at(rip: bigint | undefined): string {
  return rip === undefined ? "" : ` rip=${hex(rip)}`;
}

/**
 * An outcome as text.
 *
 * @param ending another text for all but the vCPU
 */
export function describeOutcome(
  outcome: Outcome,
  ending: string = describeEnding(outcome),
): string {
  return outcome.cpu === undefined ? ending : `${ending} on cpu${outcome.cpu}`;
}

function describeEnding(outcome: Ending): string {
  switch (outcome.kind) {
    case "halt":
      return "guest halted (HLT)";
    case "power_off":
      return "guest powered off";
    case "reset":
      return "guest asked for a reset";
    case "panic":
      return "guest panicked (pvpanic)";
    case "debug_exit":
      return `guest wrote ${hex(outcome.value)} to the debug-exit port`;
    case "memory_fault": {
      const tried = outcome.attempts.map(({ resolver, note }) => `${resolver}: ${note}`);
      return `memory fault: ${faultText(outcome.fault)} ` +
        `tried=${tried.length === 0 ? "nothing" : `"${tried.join("; ")}"`}`;
    }
    case "shutdown":
      return `guest shut down by a triple fault${at(outcome.rip)}` +
        (outcome.registersLost ? "; KVM has reset the vCPU, and its registers are gone" : "");
    case "internal_error": {
      const { exit, instruction } = outcome;
      return `KVM internal error:${
        instruction === undefined ? "" : ` cannot emulate "${instruction}"`
      }` +
        detailsText(exit) + at(exit.rip);
    }
    case "fail_entry":
      return `KVM could not enter the guest:${detailsText(outcome.exit)}`;
    case "unhandled":
      return `unhandled exit: ${outcome.exit.reason}${detailsText(outcome.exit)}` +
        at(outcome.exit.rip);
    case "max_exits":
      return `stopped after ${outcome.limit} exits`;
    case "run_failed":
      return `KVM_RUN failed: ${errnoText(outcome.errno)} (${errnoName(outcome.errno)}); ` +
        "no exit reason is available";
    case "timeout":
      return `timeout after ${outcome.timeoutMs} ms`;
    case "interrupted":
      return `interrupted (${outcome.signal})`;
    case "stopped":
      return "stopped by the program that ran the guest";
    case "quit":
      return `quit with ${outcome.keys}`;
    case "output_closed":
      return "the reader closed the output";
    case "host_limit":
      return `the host refuses: ${outcome.what}`;
    case "output_failed":
      return `cannot write ${outcome.what}`;
  }
}
