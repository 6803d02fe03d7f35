/**
 * `vmexit doctor`: can this host run guests, and what does its KVM offer?
 *
 * @module
 */

import type { SurplusFeatures } from "../../host/cpuid_check.ts";
import type { ExecutionMode, ModeSpeed } from "../../host/execution_speed.ts";
import type { Feature } from "../../host/features.ts";
import type { PagingResult } from "../../host/guest_behaviour.ts";
import {
  type CapabilityValue,
  type HostReport,
  inspectHost,
  type Limits,
  type Part,
} from "../../host/report.ts";
import { type Advice, kvmAdvice } from "../kvm_advice.ts";
import { wrap } from "../wrap.ts";

/** Options of `doctor`. */
export interface DoctorOptions {
  /** The KVM device. */
  readonly kvmPath: string;
  readonly format: "text" | "json";
}

/** The report. */
export interface DoctorResult {
  /** For stdout, with its final newline. */
  readonly text: string;
  /** 0 when guests run here, 6 when KVM is unavailable. */
  readonly exitCode: 0 | 6;
}

/** The version of the JSON record's schema. */
const SCHEMA_VERSION = 1;

/**
 * Looks at the host and reports.
 *
 * @example
 * ```ts
 * import { doctor } from "./doctor.ts";
 * const { text, exitCode } = doctor({ kvmPath: "/dev/kvm", format: "text" });
 * console.log(text.split("\n")[0], exitCode);
 * ```
 */
export function doctor({ kvmPath, format }: DoctorOptions): DoctorResult {
  const report = inspectHost({ kvmPath });
  const exitCode = report.usable ? 0 : 6;
  const text = format === "json"
    ? JSON.stringify(reportJson(report, exitCode)) + "\n"
    : reportText(report);
  return { text, exitCode };
}

/** How guests run, in all modes together. */
export type SpeedVerdict = "native" | "mixed" | "mostly_emulated" | "none";

/** The verdict on all modes. */
export function verdictOf(modes: readonly ModeSpeed[]): SpeedVerdict {
  const ran = modes.filter((mode) => mode.execution !== "failed");
  if (ran.length === 0) return "none";
  if (ran.every((mode) => mode.execution === "native")) return "native";
  const emulated = ran.filter((mode) => mode.execution === "emulated");
  return emulated.length * 2 > ran.length ? "mostly_emulated" : "mixed";
}

const VERDICTS: Record<SpeedVerdict, string> = {
  native: "guests run natively",
  mixed: "guests run natively in some modes, slower in others",
  mostly_emulated: "guests run mostly in KVM's instruction emulator",
  none: "no guest could be measured",
};

/** The report as one JSON value; a part that is missing is `{"unavailable": why}`. */
function reportJson(report: HostReport, exitCode: number): unknown {
  const { device, module } = report;
  return {
    type: "doctor",
    v: SCHEMA_VERSION,
    usable: report.usable,
    exit_code: exitCode,
    ...adviceOf(report),
    kernel: partJson(report.kernel, (release) => release),
    cpu: partJson(report.cpu, (cpu) => ({
      vendor: cpu.vendor,
      model: cpu.model,
      virtualization: cpu.virtualization ?? null,
      under_hypervisor: cpu.underHypervisor,
    })),
    module: { name: module.name ?? null, kind: module.kind, built_in: module.builtIn },
    device: {
      path: device.path,
      exists: device.exists,
      access: device.access,
      errno: device.errno,
    },
    api_version: partJson(report.apiVersion, (version) => version),
    limits: partJson(report.limits, (limits) => ({
      recommended_vcpus: limits.recommendedVcpus,
      max_vcpus: limits.maxVcpus,
      max_vcpu_id: limits.maxVcpuId,
      memory_slots: limits.memorySlots,
      physical_address_bits: limits.physicalAddressBits,
      linear_address_bits: limits.linearAddressBits,
      vcpu_mmap_size: limits.vcpuMmapSizeBytes,
    })),
    execution: partJson(report.execution, (modes) => ({
      verdict: verdictOf(modes),
      modes: modes.map((speed) =>
        speed.execution === "failed" ? speed : {
          mode: speed.mode,
          execution: speed.execution,
          instructions_per_second: Math.round(speed.instructionsPerSecond),
        }
      ),
    })),
    features: partJson(report.features, (features) => features),
    cpuid_edits: partJson(report.cpuid, (modes) => ({ honoured: honours(modes), modes })),
    behaviour: partJson(report.behaviour, (behaviour) => ({
      paging_32: behaviour.paging32,
      paging_pae: behaviour.pagingPae,
      shutdown_state: behaviour.shutdownState,
    })),
    capabilities: partJson(
      report.capabilities,
      (all) => Object.fromEntries(all.map(({ name, value }) => [name, value])),
    ),
  };
}

/** The problem and its remedy, if guests do not run. */
function adviceOf({ problem, remedy, reason }: HostReport): Partial<Advice> {
  return problem && remedy ? kvmAdvice({ problem, remedy, reason }) : {};
}

function partJson<T>(part: Part<T>, show: (value: T) => unknown): unknown {
  return "value" in part ? show(part.value) : part;
}

function reportText(report: HostReport): string {
  const { apiVersion, execution, features, cpuid, limits, capabilities } = report;
  const { problem, remedy } = adviceOf(report);
  const blocks = [
    [
      report.usable ? "Guests run on this host." : "KVM cannot be used on this host.",
      ...(problem === undefined ? [] : row("problem", 10, problem)),
      ...(remedy === undefined ? [] : row("remedy", 10, remedy)),
    ],
    ["Host", ...hostRows(report)],
  ];
  // Without an API version KVM answers nothing else either.
  if ("value" in apiVersion) {
    blocks.push(
      section("Execution", execution, executionRows),
      section("Features", features, (list) => [
        ...featureRows(list),
        ...cpuidRows(cpuid),
        ...behaviourRows(report.behaviour),
      ]),
      section("Limits", limits, limitRows),
      section("Capabilities", capabilities, capabilityRows),
    );
  }
  return blocks.map((lines) => lines.join("\n") + "\n").join("\n");
}

function section<T>(title: string, part: Part<T>, rows: (value: T) => string[]): string[] {
  return [title, ...("value" in part ? rows(part.value) : row("unknown", 10, part.unavailable))];
}

const INDENT = "  ";

/** `name` and, from a column on, `text`, wrapped within that column. */
function row(name: string, width: number, text: string): string[] {
  return wrap(text.split(" "), INDENT + name.padEnd(width), INDENT + " ".repeat(width));
}

function hostRows({ kernel, cpu, module, device, apiVersion }: HostReport): string[] {
  const text = <T>(part: Part<T>, show: (value: T) => string): string =>
    "value" in part ? show(part.value) : `unknown: ${part.unavailable}`;
  const place = module.builtIn ? "built into the kernel" : "loaded";
  const state = device.errno === undefined
    ? "opens"
    : device.exists
    ? `cannot be opened (${device.errno})`
    : "missing";
  const rows = [
    ["kernel", text(kernel, (release) => release)],
    [
      "processor",
      text(
        cpu,
        ({ vendor, model, virtualization, underHypervisor }) =>
          `${model} (${vendor}), ${virtualization ?? "no vmx or svm"}` +
          (underHypervisor ? ", itself in a virtual machine" : ""),
      ),
    ],
    ["module", module.name === undefined ? "none found" : `${module.name}, ${place}`],
    ["device", `${device.path} ${state}` + (device.access ? `, ${device.access}` : "")],
  ];
  if ("value" in apiVersion) rows.push(["API", `version ${apiVersion.value}`]);
  return rows.flatMap(([name, value]) => row(name!, 12, value!));
}

const MODES: Record<ExecutionMode, string> = {
  real: "real",
  protected: "protected",
  long_cpl0: "long CPL 0",
  long_cpl3: "long CPL 3",
};

function executionRows(modes: readonly ModeSpeed[]): string[] {
  return [
    ...modes.flatMap((speed) =>
      row(
        MODES[speed.mode],
        12,
        speed.execution === "failed"
          ? `failed: ${speed.why}`
          : speed.execution.padEnd(10) + millions(speed.instructionsPerSecond).padStart(9) +
            " million instructions a second",
      )
    ),
    `${INDENT}So ${VERDICTS[verdictOf(modes)]}.`,
  ];
}

function millions(perSecond: number): string {
  return (perSecond / 1e6).toFixed(perSecond < 100e6 ? 1 : 0);
}

/** Options that a feature is for. */
const OPTIONS: Partial<Record<Feature["capability"], string>> = {
  X86_USER_SPACE_MSR: "--msr-exits",
  IRQCHIP: "--machine pc",
  PIT2: "--machine pc",
  SET_GUEST_DEBUG: "--single-step, --break",
};

function featureRows(features: readonly Feature[]): string[] {
  return features.flatMap(({ name, capability, enabled, effect }) => {
    const options = OPTIONS[capability];
    const text = options === undefined ? effect : `${effect} (${options})`;
    return row(`${enabled ? "yes" : "no "}  ${name}`, 31, text);
  });
}

function honours(modes: readonly SurplusFeatures[]): boolean {
  return modes.every(({ seen }) => seen.length === 0);
}

/** How many feature names a line shows. */
const MOST_NAMES = 4;

/** Whether guests see only the CPU features they are given, and which others they see. */
export function cpuidRows(cpuid: HostReport["cpuid"]): string[] {
  const show = (verdict: string, text: string): string[] =>
    row(`${verdict}  CPUID edits`, 31, text);
  if (!("value" in cpuid)) return show("no ", `unknown: ${cpuid.unavailable}`);
  if (honours(cpuid.value)) return show("yes", "--cpu decides which features a guest sees");
  const surplus = cpuid.value.filter(({ seen }) => seen.length > 0).map(({ mode, seen }) => {
    const names = seen.slice(0, MOST_NAMES).join(", ") + (seen.length > MOST_NAMES ? ", …" : "");
    return `${seen.length} in ${MODES[mode]} (${names})`;
  });
  return show(
    "no ",
    `--cpu removes features from KVM's CPUID table, but a guest with --cpu none ` +
      `still sees ${surplus.join(" and ")}`,
  );
}

/** Says what guests cannot do on this KVM though any processor can, and what vmexit cannot tell. */
export function behaviourRows(behaviour: HostReport["behaviour"]): string[] {
  const show = (works: boolean, name: string, text: string): string[] =>
    row(`${works ? "yes" : "no "}  ${name}`, 31, text);
  if (!("value" in behaviour)) {
    return show(false, "32-bit paging", `unknown: ${behaviour.unavailable}`);
  }
  const { paging32, pagingPae, shutdownState } = behaviour.value;
  return [
    ...show(paging32 === "works", "32-bit paging", PAGING[paging32]),
    ...show(pagingPae === "works", "PAE paging", PAGING[pagingPae]),
    ...show(
      shutdownState === "kept",
      "state at a triple fault",
      shutdownState === "kept"
        ? "the report of a triple fault shows where the guest was"
        : "KVM resets the vCPU at a triple fault (as on AMD): the guest's RIP and registers are lost",
    ),
  ];
}

const PAGING: Record<PagingResult, string> = {
  works: "guests can switch it on",
  triple_fault:
    "a guest that switches it on ends in a triple fault; 64-bit guests are not affected",
  other: "a guest that switches it on does not get past that instruction",
};

function limitRows(limits: Limits): string[] {
  return [
    `vCPUs             ${limits.maxVcpus}, recommended ${limits.recommendedVcpus}, ` +
    `ids below ${limits.maxVcpuId}`,
    `memory slots      ${limits.memorySlots}`,
    `physical address  ${limits.physicalAddressBits} bits`,
    `linear address    ${limits.linearAddressBits} bits`,
    `kvm_run mapping   ${limits.vcpuMmapSizeBytes} bytes`,
  ].map((line) => INDENT + line);
}

/** Capabilities that no x86 host has. */
const OTHER_ARCHITECTURE = /^(ARM|MIPS|PPC|RISCV|S390|SPAPR)_/;

function capabilityRows(all: readonly CapabilityValue[]): string[] {
  const present = all.filter(({ value }) => value !== 0);
  const absent = all.filter(({ value }) => value === 0);
  const names = (foreign: boolean): string[] =>
    absent.map(({ name }) => name).filter((name) => OTHER_ARCHITECTURE.test(name) === foreign);
  const table: string[] = [];
  const half = Math.ceil(present.length / 2);
  for (let i = 0; i < half; i++) {
    const cells = [present[i], present[i + half]].map((capability) =>
      capability ? capability.name.padEnd(27) + String(capability.value).padStart(10) : ""
    );
    table.push((INDENT + cells.join("  ")).trimEnd());
  }
  return [
    ...table,
    ...group("absent", names(false)),
    ...group("absent, of other architectures", names(true)),
  ];
}

function group(title: string, names: readonly string[]): string[] {
  return names.length === 0
    ? []
    : [`${INDENT}${title}:`, ...wrap(names, INDENT.repeat(2), INDENT.repeat(2))];
}
