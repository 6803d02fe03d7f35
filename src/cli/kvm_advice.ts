/**
 * What a command line can do where KVM cannot be used: its problems and remedies, in terms of
 * options.
 *
 * @module
 */

import { inspectHost } from "../host/report.ts";
import { type CapabilityUser, type KvmCause, KvmUnavailableError } from "../kvm/unavailable.ts";

/** A problem and its remedy, each one clause. */
export interface Advice {
  readonly problem: string;
  readonly remedy: string;
}

/** The error with this host's remedy, if no guest can run on it at all. */
export function explainUnavailable(
  error: KvmUnavailableError,
  kvmPath?: string,
): KvmUnavailableError {
  const host = inspectHost(kvmPath === undefined ? {} : { kvmPath });
  const { problem, remedy } = !host.usable && host.problem && host.remedy
    ? kvmAdvice({ problem: host.problem, remedy: host.remedy, reason: host.reason })
    : kvmAdvice(error);
  return new KvmUnavailableError(problem, remedy);
}

/**
 * Words an error for the user of the command line.
 *
 * @example
 * ```ts
 * import { notKvm } from "../kvm/unavailable.ts";
 * import { kvmAdvice } from "./kvm_advice.ts";
 * console.log(kvmAdvice(notKvm("/dev/null")).remedy); // name the right one with --kvm PATH
 * ```
 */
export function kvmAdvice(
  { problem, remedy, reason }: Advice & { readonly reason?: KvmCause | undefined },
): Advice {
  switch (reason?.kind) {
    case undefined:
      return { problem, remedy };
    case "device":
      return { problem, remedy: `${remedy} with --kvm PATH` };
    case "missing_device":
      return { problem, remedy: `leave --kvm out to ${remedy}` };
    case "too_many_vcpus":
      return { problem, remedy: `${remedy} with --cpus` };
    case "processor_feature":
      return { problem: `${problem}, which --cpu asks for`, remedy };
    case "capability":
      return {
        problem: `this host's KVM lacks KVM_CAP_${reason.name}, which ` +
          `${optionOf(reason.neededBy)} needs`,
        remedy: "use a newer kernel or leave that option out (vmexit doctor lists what is there)",
      };
  }
}

function optionOf(user: CapabilityUser): string {
  switch (user.what) {
    case "hole":
      return `--hole …:${user.kind}${user.note === undefined ? "" : ` (${user.note})`}`;
    case "pc":
      return "--machine pc";
    case "msr_exits":
      return "--msr-exits";
    case "api":
      return user.name;
  }
}
