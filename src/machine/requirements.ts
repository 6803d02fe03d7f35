/**
 * The machine's requirements of its host, checked before anything is created.
 *
 * @module
 */

import { KVM_MEMORY_ATTRIBUTE_PRIVATE, KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import type { Capability } from "../kvm/capability.ts";
import type { Kvm } from "../kvm/kvm.ts";
import { missingCapability, tooManyVcpus } from "../kvm/unavailable.ts";
import type { Vm } from "../kvm/vm.ts";
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
  if (!need("private", "VM_TYPES")) {
    return KVM_X86_VM_TYPE.DEFAULT;
  }
  if (!kvm.hasProtectedVms) {
    throw missingCapability("VM_TYPES", {
      what: "hole",
      kind: "private",
      note: "VM type SW_PROTECTED",
    });
  }
  return KVM_X86_VM_TYPE.SW_PROTECTED;
}

/** Checks what only a VM of its type can tell: whether pages of it can be private. */
export function requireAttributes(vm: Pick<Vm, "checkExtension">, holes: readonly Hole[]): void {
  if (!holes.some(({ kind }) => kind === "private")) return;
  if (vm.checkExtension("MEMORY_ATTRIBUTES") & Number(KVM_MEMORY_ATTRIBUTE_PRIVATE)) return;
  throw missingCapability("MEMORY_ATTRIBUTES", { what: "hole", kind: "private" });
}

/** Checks that the host can make a PC with `cpus` vCPUs. @throws {KvmUnavailableError} */
export function requirePcCapabilities(kvm: Kvm, cpus: number): void {
  const most = cpus > 1 ? kvm.checkExtension("MAX_VCPUS") : 1;
  if (cpus > most) throw tooManyVcpus(cpus, most);
  for (const name of ["IRQCHIP", "PIT2", "IRQ_ROUTING"] as const) {
    if (kvm.checkExtension(name) === 0) throw missingCapability(name, { what: "pc" });
  }
}
