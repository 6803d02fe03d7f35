/**
 * Why KVM cannot be used here, and what would help.
 *
 * @module
 */

import type { SystemError } from "../../ffi/libc.ts";

/** KVM cannot be used on this host, or lacks something that is needed. */
export class KvmUnavailableError extends Error {
  /** Its name. */
  override readonly name = "KvmUnavailableError";

  /**
   * Joins what is wrong and what helps.
   *
   * @param problem what is wrong, one clause
   * @param remedy what the user can do about it, one clause
   */
  constructor(readonly problem: string, readonly remedy: string) {
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
        "name the KVM device with --kvm PATH",
      );
  }
}

/** A path that opens but does not answer as KVM does. */
export function notKvm(path: string): KvmUnavailableError {
  return new KvmUnavailableError(`${path} is not a KVM device`, "name it with --kvm PATH");
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
    "ask for fewer with --cpus",
  );
}

/** A capability that something asked for and this KVM lacks. */
export function missingCapability(name: string, needed: string): KvmUnavailableError {
  return new KvmUnavailableError(
    `this host's KVM lacks KVM_CAP_${name}, which ${needed} needs`,
    "use a newer kernel or leave that option out (vmexit doctor lists what is there)",
  );
}
