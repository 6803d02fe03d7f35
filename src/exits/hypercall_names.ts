/**
 * Names of KVM's own hypercalls, as a guest puts them in RAX before
 * `vmcall`/`vmmcall`. Source: `KVM_HC_*` in `linux/kvm_para.h`; the numbers are
 * shared by all architectures, so those that x86 never sees are here as well.
 *
 * @module
 */

const NAMES = new Map<number, string>([
  [1, "KVM_HC_VAPIC_POLL_IRQ"],
  [2, "KVM_HC_MMU_OP"],
  [3, "KVM_HC_FEATURES"],
  [4, "KVM_HC_PPC_MAP_MAGIC_PAGE"],
  [5, "KVM_HC_KICK_CPU"],
  [6, "KVM_HC_MIPS_GET_CLOCK_FREQ"],
  [7, "KVM_HC_MIPS_EXIT_VM"],
  [8, "KVM_HC_MIPS_CONSOLE_OUTPUT"],
  [9, "KVM_HC_CLOCK_PAIRING"],
  [10, "KVM_HC_SEND_IPI"],
  [11, "KVM_HC_SCHED_YIELD"],
  [12, "KVM_HC_MAP_GPA_RANGE"],
]);

/**
 * The name of a KVM hypercall number, or `undefined` for a number that is none.
 * Takes the guest's number as KVM reports it (`kvm_run.hypercall.nr`).
 *
 * @example
 * ```ts
 * import { hypercallName } from "./hypercall_names.ts";
 * console.log(hypercallName(12n)); // "KVM_HC_MAP_GPA_RANGE"
 * ```
 */
export function hypercallName(nr: bigint | number): string | undefined {
  return NAMES.get(Number(nr));
}
