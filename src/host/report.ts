/**
 * Everything about a host that decides whether and how guests run on it.
 *
 * @module
 */

import { KVM_CAP } from "../../ffi/kvm_caps.ts";
import { KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import type { Capability } from "../kvm/capability.ts";
import { Kvm, KVM_DEVICE } from "../kvm/kvm.ts";
import { checkCpuid, type SurplusFeatures } from "./cpuid_check.ts";
import { measureExecution, type ModeSpeed } from "./execution_speed.ts";
import {
  type CpuFacts,
  cpuFacts,
  HOST_FILES,
  type HostFiles,
  kernelRelease,
  type KvmModule,
  kvmModule,
} from "./facts.ts";
import { type Feature, featuresOf } from "./features.ts";
import { checkBehaviour, type GuestBehaviour } from "./guest_behaviour.ts";
import { inspectDevice, type KvmDevice } from "./kvm_device.ts";
import { type KvmCause, KvmUnavailableError } from "../kvm/unavailable.ts";

/** A part of the report, or why it is missing. */
export type Part<T> = { readonly value: T } | { readonly unavailable: string };

/** A capability as `KVM_CHECK_EXTENSION` answers for it. */
export interface CapabilityValue {
  readonly name: Capability;
  readonly number: number;
  /** 0 when it is absent; else 1, or what the capability's documentation says. */
  readonly value: number;
}

/** The limits of guests. */
export interface Limits {
  /** vCPUs that the host recommends not to exceed (`KVM_CAP_NR_VCPUS`). */
  readonly recommendedVcpus: number;
  /** vCPUs that a VM can have (`KVM_CAP_MAX_VCPUS`). */
  readonly maxVcpus: number;
  /** Vcpu ids are below this (`KVM_CAP_MAX_VCPU_ID`). */
  readonly maxVcpuId: number;
  /** Memory slots of a VM (`KVM_CAP_NR_MEMSLOTS`). */
  readonly memorySlots: number;
  /** Width of guest physical addresses: CPUID 0x80000008 EAX[7:0]. */
  readonly physicalAddressBits: number;
  /** Width of guest linear addresses: CPUID 0x80000008 EAX[15:8]. */
  readonly linearAddressBits: number;
  /** Bytes of a vCPU's `kvm_run` mapping (`KVM_GET_VCPU_MMAP_SIZE`). */
  readonly vcpuMmapSizeBytes: number;
}

/** The host. */
export interface HostReport {
  readonly kernel: Part<string>;
  readonly cpu: Part<CpuFacts>;
  readonly module: KvmModule;
  readonly device: KvmDevice;
  readonly apiVersion: Part<number>;
  readonly capabilities: Part<readonly CapabilityValue[]>;
  readonly limits: Part<Limits>;
  readonly execution: Part<readonly ModeSpeed[]>;
  readonly features: Part<readonly Feature[]>;
  /** Features that guests see without being given them; empty where edits are honoured. */
  readonly cpuid: Part<readonly SurplusFeatures[]>;
  /** How this KVM behaves where KVMs differ. */
  readonly behaviour: Part<GuestBehaviour>;
  /** Whether guests run here, in at least one mode. */
  readonly usable: boolean;
  /** Where they do not: the problem. */
  readonly problem?: string;
  /** Where they do not: the remedy. */
  readonly remedy?: string;
  /** If guests do not run because of a request: that request. */
  readonly reason?: KvmCause;
}

/** Where to look. */
export interface InspectOptions {
  /** The KVM device. Default `/dev/kvm`. */
  readonly kvmPath?: string;
  /** The host's files. Default: those of this host. */
  readonly files?: HostFiles;
}

const ADDRESS_SIZES_LEAF = 0x8000_0008;
/** What processors without that leaf have (SDM volume 3A, 4.1.4), as ones that run long mode do. */
const DEFAULT_PHYSICAL_BITS = 36;
const DEFAULT_LINEAR_BITS = 48;

/**
 * Inspects the host. What cannot be found out is unavailable, with the reason.
 *
 * @example
 * ```ts
 * import { inspectHost } from "./report.ts";
 * const { usable, remedy } = inspectHost();
 * console.log(usable ? "guests run here" : remedy);
 * ```
 */
export function inspectHost(
  { kvmPath = KVM_DEVICE, files = HOST_FILES }: InspectOptions = {},
): HostReport {
  const kernel = attempt(() => kernelRelease(files));
  const cpu = attempt(() => cpuFacts(files));
  const cpuValue = "value" in cpu ? cpu.value : undefined;
  const module = kvmModule(files, cpuValue?.vendor);
  const device = inspectDevice(kvmPath, files, module, cpuValue);
  const host = { kernel, cpu, module, device };
  try {
    if (device.openFailure) throw device.openFailure;
    using kvm = Kvm.open(kvmPath);
    return { ...host, ...inspectKvm(kvm) };
  } catch (error) {
    if (!(error instanceof KvmUnavailableError)) throw error;
    const { problem, remedy, reason } = error;
    const missing = { unavailable: problem };
    return {
      ...host,
      apiVersion: missing,
      capabilities: missing,
      limits: missing,
      execution: missing,
      features: missing,
      cpuid: missing,
      behaviour: missing,
      usable: false,
      problem,
      remedy,
      ...(reason ? { reason } : {}),
    };
  }
}

function inspectKvm(kvm: Kvm): Omit<HostReport, "kernel" | "cpu" | "module" | "device"> {
  const modes = measureExecution(kvm.path);
  const failures = modes.flatMap((mode) => mode.execution === "failed" ? [mode.why] : []);
  const usable = failures.length < modes.length;
  return {
    apiVersion: attempt(() => kvm.apiVersion()),
    capabilities: attempt(() => capabilityValues(kvm)),
    limits: attempt(() => limitsOf(kvm)),
    execution: { value: modes },
    features: attempt(() => {
      // What guests can be given may depend on the type of the VM.
      using vm = kvm.createVm();
      using protectedVm = kvm.hasProtectedVms
        ? kvm.createVm(KVM_X86_VM_TYPE.SW_PROTECTED)
        : undefined;
      return featuresOf((name) =>
        (name === "MEMORY_ATTRIBUTES" && protectedVm || vm).checkExtension(name)
      );
    }),
    cpuid: attempt(() => checkCpuid(kvm.path)),
    behaviour: attempt(() => checkBehaviour(kvm.path)),
    usable,
    ...(usable ? {} : {
      problem: `no guest runs: ${failures[0]}`,
      remedy: "see what the kernel says of it (sudo dmesg | grep -i kvm)",
    }),
  };
}

function attempt<T>(make: () => T): Part<T> {
  try {
    return { value: make() };
  } catch (error) {
    return { unavailable: error instanceof Error ? error.message : String(error) };
  }
}

function capabilityValues(kvm: Kvm): CapabilityValue[] {
  return (Object.keys(KVM_CAP) as Capability[]).map((name) => ({
    name,
    number: KVM_CAP[name],
    value: kvm.checkExtension(name),
  }));
}

function limitsOf(kvm: Kvm): Limits {
  const eax = kvm.supportedCpuid().find((leaf) => leaf.function === ADDRESS_SIZES_LEAF)?.eax;
  return {
    recommendedVcpus: kvm.checkExtension("NR_VCPUS"),
    maxVcpus: kvm.checkExtension("MAX_VCPUS"),
    maxVcpuId: kvm.checkExtension("MAX_VCPU_ID"),
    memorySlots: kvm.checkExtension("NR_MEMSLOTS"),
    physicalAddressBits: eax === undefined ? DEFAULT_PHYSICAL_BITS : eax & 0xff,
    linearAddressBits: eax === undefined ? DEFAULT_LINEAR_BITS : eax >>> 8 & 0xff,
    vcpuMmapSizeBytes: kvm.vcpuMmapSizeBytes(),
  };
}
