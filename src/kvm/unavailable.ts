/**
 * Why KVM cannot be used here, and what would help.
 *
 * @module
 */

import type { SystemError } from "../../ffi/libc.ts";

/** The request that cannot be met, for the caller's user interface to name. */
export type KvmCause =
  /** A path that is not a KVM device. */
  | { readonly kind: "device" }
  /** A path other than KVM's usual one that is not there. */
  | { readonly kind: "missing_device" }
  | { readonly kind: "too_many_vcpus" }
  | { readonly kind: "processor_feature" }
  | { readonly kind: "capability"; readonly name: string; readonly neededBy: CapabilityUser };

/** What needs a capability: a hole of some kind, a PC, exits for MSRs, or the API that is named. */
export type CapabilityUser =
  | { readonly what: "hole"; readonly kind: string; readonly note?: string }
  | { readonly what: "pc" }
  | { readonly what: "msr_exits" }
  | { readonly what: "api"; readonly name: string };

/** KVM cannot be used on this host, or lacks something that is needed. */
export class KvmUnavailableError extends Error {
  /** Its name. */
  override readonly name = "KvmUnavailableError";

  /**
   * Joins what is wrong and what helps.
   *
   * @param problem what is wrong, one clause
   * @param remedy what the user can do about it, one clause
   * @param reason the request that failed, where the caller can change it
   */
  constructor(
    readonly problem: string,
    readonly remedy: string,
    readonly reason?: KvmCause,
  ) {
    super(`${problem}; ${remedy}`);
  }
}

/** What the errno of a failed open(2) of the KVM device says, in the user's terms. */
export function explainOpenFailure(path: string, error: SystemError): KvmUnavailableError {
  switch (error.code) {
    case "ENOENT":
      return new KvmUnavailableError(
        `${path} does not exist`,
        "load the module (sudo modprobe kvm_intel, or kvm_amd) with virtualization enabled in " +
          "the firmware, or pass the device into the container (--device /dev/kvm)",
      );
    case "ENXIO":
    case "ENODEV":
      return new KvmUnavailableError(
        `${path} has no driver behind it (${error.code})`,
        "load the module (sudo modprobe kvm_intel, or kvm_amd) with virtualization enabled in " +
          "the firmware",
      );
    case "EACCES":
    case "EPERM":
      return new KvmUnavailableError(
        `no permission to open ${path} (${error.code})`,
        'join its group (sudo usermod -aG kvm "$USER", then log in again) or grant access ' +
          `(sudo setfacl -m "u:$USER:rw" ${path})`,
      );
    case "EBUSY":
      return new KvmUnavailableError(
        `${path} is busy`,
        "stop the other hypervisor that holds the processor's virtualization",
      );
    default:
      return new KvmUnavailableError(
        `${path} cannot be opened: ${error.text} (${error.code})`,
        "name the KVM device",
        { kind: "device" },
      );
  }
}

/** A path that opens but does not answer as KVM does. */
export function notKvm(path: string): KvmUnavailableError {
  return new KvmUnavailableError(`${path} is not a KVM device`, "name the right one", {
    kind: "device",
  });
}

/** A KVM that speaks another version of the API. */
export function wrongApiVersion(version: number): KvmUnavailableError {
  return new KvmUnavailableError(
    `KVM speaks API version ${version}, not 12`,
    "use a Linux kernel of 2.6.22 or newer",
  );
}

/** More vCPUs than this KVM gives a VM. */
export function tooManyVcpus(wanted: number, most: number): KvmUnavailableError {
  return new KvmUnavailableError(
    `this host's KVM gives a VM at most ${most} vCPUs, not ${wanted}`,
    "ask for fewer",
    { kind: "too_many_vcpus" },
  );
}

/** A needed capability that this KVM lacks. */
export function missingCapability(
  name: string,
  neededBy: CapabilityUser,
): KvmUnavailableError {
  return new KvmUnavailableError(
    `this host's KVM lacks KVM_CAP_${name}, which ${capabilityUserText(neededBy)} needs`,
    "use a newer kernel or do without",
    { kind: "capability", name, neededBy },
  );
}

function capabilityUserText(user: CapabilityUser): string {
  switch (user.what) {
    case "hole":
      return `a hole of kind ${user.kind}${user.note ? ` (${user.note})` : ""}`;
    case "pc":
      return "a PC";
    case "msr_exits":
      return "an exit for MSRs";
    case "api":
      return user.name;
  }
}
