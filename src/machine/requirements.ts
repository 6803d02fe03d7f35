/**
 * What a machine needs of its host, looked for before anything is made of it.
 *
 * @module
 */

import { KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import type { Capability } from "../kvm/capability.ts";
import type { Kvm } from "../kvm/kvm.ts";
import { missingCapability, tooManyVcpus } from "../kvm/unavailable.ts";
import type { Hole, HoleKind } from "../memory/hole.ts";

/**
 * Checks that the host can make the holes.
 *
 * @returns the VM type that they need
 * @throws {KvmUnavailableError}
 */
export function requireHoleCapabilities(kvm: Kvm, holes: readonly Hole[]): number {
  const need = (kind: HoleKind, ...names: Capability[]): boolean => {
    if (!holes.some((hole) => hole.kind === kind)) return false;
    for (const name of names) {
      if (kvm.checkExtension(name) === 0) throw missingCapability(name, { what: "hole", kind });
    }
    return true;
  };
  need("romslot", "READONLY_MEM");
  need("gmem", "USER_MEMORY2", "GUEST_MEMFD", "GUEST_MEMFD_FLAGS");
  if (!need("private", "USER_MEMORY2", "GUEST_MEMFD", "VM_TYPES", "MEMORY_ATTRIBUTES")) {
    return KVM_X86_VM_TYPE.DEFAULT;
  }
  if (!(kvm.checkExtension("VM_TYPES") & (1 << KVM_X86_VM_TYPE.SW_PROTECTED))) {
    throw missingCapability("VM_TYPES", {
      what: "hole",
      kind: "private",
      note: "VM type SW_PROTECTED",
    });
  }
  return KVM_X86_VM_TYPE.SW_PROTECTED;
}

/** Checks that the host can make a PC of so many vCPUs. @throws {KvmUnavailableError} */
export function requirePcCapabilities(kvm: Kvm, cpus: number): void {
  const most = cpus > 1 ? kvm.checkExtension("MAX_VCPUS") : 1;
  if (cpus > most) throw tooManyVcpus(cpus, most);
  for (const name of ["IRQCHIP", "PIT2", "IRQ_ROUTING"] as const) {
    if (kvm.checkExtension(name) === 0) throw missingCapability(name, { what: "pc" });
  }
}
