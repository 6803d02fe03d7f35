/**
 * Whether guests see the CPUID that they are given. A tiny guest that is given no
 * optional features executes CPUID and reports which ones it sees.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { planFlat } from "../boot/flat.ts";
import { ThreadAlarm } from "../kvm/alarm.ts";
import { RunResult } from "../kvm/run_result.ts";
import { RFLAGS } from "../x86/control_registers.ts";
import { BASELINE, FEATURE_REGISTERS, featureNames } from "../x86/cpu_features.ts";
import { dropPrivilege, type ExecutionMode } from "./execution_speed.ts";
import { VirtualMachine } from "../machine/machine.ts";

/** Features that a guest sees in a mode without having been given them. */
export interface SurplusFeatures {
  readonly mode: ExecutionMode;
  /** Their names, as in `CPU_FEATURES`. */
  readonly seen: readonly string[];
}

/** A mode that some KVMs emulate, and one that they run natively. */
const MODES = ["long_cpl0", "long_cpl3"] as const;

/**
 * The guest: executes CPUID, then writes to port 0x80.
 *
 *     cpuid         0f a2
 *     out 0x80, al  e6 80
 */
const CODE = new Uint8Array([0x0f, 0xa2, 0xe6, 0x80]);
const MEMORY_BYTES = 2 << 20;
/** A guest that takes longer for one CPUID has failed. */
const LIMIT_MS = 5000;

/**
 * Checks both privilege levels of long mode.
 *
 * @param kvmPath the KVM device
 * @throws {Error} when the guest does not run
 *
 * @example
 * ```ts
 * import { checkCpuid } from "./cpuid_check.ts";
 * console.log(checkCpuid().every(({ seen }) => seen.length === 0)); // edits are honoured
 * ```
 */
export function checkCpuid(kvmPath?: string): SurplusFeatures[] {
  return MODES.map((mode) => ({ mode, seen: surplusIn(mode, kvmPath) }));
}

function surplusIn(mode: ExecutionMode, kvmPath: string | undefined): string[] {
  using machine = new VirtualMachine({
    memoryBytes: MEMORY_BYTES,
    cpuFeatures: { baseline: true },
    ...(kvmPath === undefined ? {} : { kvmPath }),
  });
  const { vcpu, memory } = machine;
  const plan = planFlat(CODE, "flat64", { ram: memory.ranges });
  const given = vcpu.cpuid2();
  machine.boot(plan);
  if (mode === "long_cpl3") dropPrivilege(machine);
  using alarm = new ThreadAlarm();
  const { rip, rsp } = plan.entry;
  // OUT at CPL 3 needs IOPL 3.
  const rflags = RFLAGS.FIXED | RFLAGS.IOPL;
  return FEATURE_REGISTERS.flatMap((features) => {
    const { leaf, subleaf, register } = features;
    // For a leaf that it lacks, a processor answers with another one.
    if (!given.some((e) => e.function === leaf && e.index === subleaf)) return [];
    vcpu.setRegs({ rip, rsp, rflags, rax: BigInt(leaf), rcx: BigInt(subleaf) });
    alarm.arm(LIMIT_MS);
    const result = vcpu.run();
    const late = alarm.disarm();
    if (late || result !== RunResult.exit || vcpu.page.reason !== KVM_EXIT.IO) {
      throw new Error(`the guest did not get past CPUID leaf 0x${leaf.toString(16)}`);
    }
    vcpu.cycle.completePending();
    const value = Number(BigInt.asIntN(32, vcpu.regs()[`r${register[1]}x` as "rax"]));
    return featureNames(features, value).filter((name) => !BASELINE.has(name));
  });
}
