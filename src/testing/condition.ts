/**
 * Conditions on the host: `skip_if` and `only_if` of a test.
 *
 * @module
 */

import { KVM_CAP } from "../../ffi/kvm_caps.ts";
import { KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import type { HostReport } from "../host/report.ts";

/** A capability, and its least value. */
export interface Condition {
  readonly name: string;
  readonly atLeast: number;
}

/** Conditions besides the capabilities of KVM. */
const OTHER_FACTS: Readonly<Record<string, (report: HostReport) => number>> = {
  kvm: ({ usable }) => Number(usable),
  kvm_intel: ({ module }) => Number(module.name === "kvm_intel"),
  kvm_amd: ({ module }) => Number(module.name === "kvm_amd"),
  native_real: (report) => isNative(report, "real"),
  native_protected: (report) => isNative(report, "protected"),
  native_cpl0: (report) => isNative(report, "long_cpl0"),
  native_cpl3: (report) => isNative(report, "long_cpl3"),
  protected_vm: (report) => (capability(report, "VM_TYPES") >> KVM_X86_VM_TYPE.SW_PROTECTED) & 1,
  host_cpus: () => navigator.hardwareConcurrency,
};

/** The names of all conditions. */
export const CONDITION_NAMES: readonly string[] = [
  ...Object.keys(OTHER_FACTS),
  ...Object.keys(KVM_CAP),
];

function isNative({ execution }: HostReport, mode: string): number {
  if (!("value" in execution)) return 0;
  return Number(execution.value.some((each) => each.mode === mode && each.execution === "native"));
}

/**
 * Reads a condition: a name of {@linkcode CONDITION_NAMES}, or `NAME>=NUMBER`.
 *
 * @returns `undefined` for other text
 *
 * @example
 * ```ts
 * import { parseCondition } from "./condition.ts";
 * console.log(parseCondition("MAX_VCPUS >= 4")); // { name: "MAX_VCPUS", atLeast: 4 }
 * ```
 */
export function parseCondition(text: string): Condition | undefined {
  const [, name, number] = /^(\w+)(?:\s*>=\s*(\d{1,15}))?$/.exec(text.trim()) ?? [];
  if (name === undefined || !CONDITION_NAMES.includes(name)) return undefined;
  return { name, atLeast: number === undefined ? 1 : Number(number) };
}

/** A condition in text. */
export function conditionText({ name, atLeast }: Condition): string {
  return atLeast === 1 ? name : `${name}>=${atLeast}`;
}

/** Whether a host meets a condition. */
export function holds({ name, atLeast }: Condition, report: HostReport): boolean {
  const fact = OTHER_FACTS[name];
  if (fact) return fact(report) >= atLeast;
  return capability(report, name) >= atLeast;
}

/** A capability's value; 0 where it is absent. */
function capability({ capabilities }: HostReport, name: string): number {
  if (!("value" in capabilities)) return 0;
  return capabilities.value.find((each) => each.name === name)?.value ?? 0;
}

/** Why a test with these conditions is skipped on a host; `undefined` when it is to run. */
export function skipReason(
  { skipIf, onlyIf }: {
    readonly skipIf: readonly Condition[];
    readonly onlyIf: readonly Condition[];
  },
  host: () => HostReport,
): string | undefined {
  const present = skipIf.find((condition) => holds(condition, host()));
  if (present) return `skip_if ${conditionText(present)}: this host has it`;
  const missing = onlyIf.find((condition) => !holds(condition, host()));
  if (missing) return `only_if ${conditionText(missing)}: this host lacks it`;
  return undefined;
}
