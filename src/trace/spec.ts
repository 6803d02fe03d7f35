/**
 * Which exits a trace shows: from `io,hlt` to a mask that the run loop looks up by reason.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import type { ExitReasonName } from "../exits/exit.ts";

/** Exit reasons by number: nonzero where an exit is to be shown. */
export type TraceMask = Uint8Array;

/** Names for groups of related reasons. */
export const TRACE_CLASSES: Readonly<Record<string, readonly ExitReasonName[]>> = {
  io: ["IO", "MMIO"],
  msr: ["X86_RDMSR", "X86_WRMSR"],
  fault: ["MEMORY_FAULT"],
  hypercall: ["HYPERCALL", "HYPERV", "XEN", "TDX"],
  irq: ["IRQ_WINDOW_OPEN", "SET_TPR", "TPR_ACCESS", "IOAPIC_EOI", "NMI"],
  debug: ["DEBUG", "EXCEPTION"],
  error: ["UNKNOWN", "SHUTDOWN", "FAIL_ENTRY", "INTERNAL_ERROR", "SYSTEM_EVENT", "NOTIFY"],
};

/** A name in a trace specification that is neither a reason nor a class. */
export class TraceSpecError extends Error {
  override readonly name = "TraceSpecError";
  /** @param given the name */
  constructor(readonly given: string) {
    super(`"${given}" is neither an exit reason nor a class of them`);
  }
}

/** Reasons of other architectures: accepted, but not proposed. */
const FOREIGN = /^(S390_|ARM_|RISCV_|LOONGARCH_|PAPR_|DCR$|OSI$|EPR$|WATCHDOG$)/;

/** Every name that a specification may have on x86. */
export function traceNames(): string[] {
  const reasons = Object.keys(KVM_EXIT).filter((name) => !FOREIGN.test(name));
  return ["all", "none", ...Object.keys(TRACE_CLASSES), ...reasons];
}

/**
 * Reads a specification: `all`, `none`, or a comma list of reasons and classes,
 * in upper or lower case, with or without `KVM_EXIT_`.
 *
 * @throws {TraceSpecError}
 *
 * @example
 * ```ts
 * import { parseTraceSpec } from "./spec.ts";
 * console.log(parseTraceSpec("io,hlt")[5]); // 1: KVM_EXIT_HLT is 5
 * ```
 */
export function parseTraceSpec(spec: string): TraceMask {
  const mask = new Uint8Array(256);
  for (const part of spec.split(",")) {
    const name = part.trim();
    const reasons = own(TRACE_CLASSES, name.toLowerCase());
    const code = own<number>(KVM_EXIT, name.toUpperCase().replace(/^KVM_EXIT_/, ""));
    if (name.toLowerCase() === "all") mask.fill(1);
    else if (name.toLowerCase() === "none") mask.fill(0);
    else if (reasons) reasons.forEach((reason) => mask[KVM_EXIT[reason]] = 1);
    else if (code !== undefined) mask[code] = 1;
    else throw new TraceSpecError(name);
  }
  return mask;
}

/** A table's own value: a name from a user must not be found in its prototype. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
