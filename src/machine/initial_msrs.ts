/**
 * Model-specific registers as a PC's firmware leaves them to an operating system.
 *
 * @module
 */

import type { Vcpu } from "../kvm/vcpu.ts";
import type { Msr } from "../kvm/counted.ts";

/** IA32_MISC_ENABLE bit 0: REP MOVS and STOS may work faster than by single bytes (SDM volume 4). */
const MISC_ENABLE = { index: 0x1a0, fastStrings: 1n } as const;
/**
 * IA32_MTRR_DEF_TYPE (SDM volume 3A, 12.11.2.1): MTRRs on, and memory that none of them
 * names is write-back. The fixed-range ones stay off: they come out of reset as uncacheable.
 */
const MTRR_DEF_TYPE = { index: 0x2ff, mask: 0xcffn, enabled: 1n << 11n, writeBack: 6n } as const;

/**
 * What firmware changes, given the registers' present values. All others keep the
 * values with which KVM resets a vCPU: among them PAT, IA32_APIC_BASE and the TSC, which KVM
 * keeps the same on all vCPUs.
 *
 * @returns the registers that are to differ from what they are
 */
export function firmwareMsrs(present: readonly Msr[]): Msr[] {
  return present.flatMap(({ index, data }) => {
    const wanted = index === MISC_ENABLE.index
      ? data | MISC_ENABLE.fastStrings
      : data & ~MTRR_DEF_TYPE.mask | MTRR_DEF_TYPE.enabled | MTRR_DEF_TYPE.writeBack;
    return wanted === data ? [] : [{ index, data: wanted }];
  });
}

/**
 * Sets a vCPU's registers as firmware would have. Those that KVM lacks are skipped.
 *
 * @example
 * ```ts
 * import { Kvm } from "../kvm/kvm.ts";
 * import { setFirmwareMsrs } from "./initial_msrs.ts";
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 * using vcpu = vm.createVcpu(0);
 * setFirmwareMsrs(vcpu);
 * console.log(vcpu.msrs([0x2ff])[0]?.data); // 0x806n: enabled, write-back
 * ```
 */
export function setFirmwareMsrs(vcpu: Pick<Vcpu, "msrs" | "setMsrs">): void {
  const changed = firmwareMsrs(vcpu.msrs([MTRR_DEF_TYPE.index, MISC_ENABLE.index]));
  if (changed.length > 0) vcpu.setMsrs(changed);
}
