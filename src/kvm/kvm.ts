/**
 * The KVM device: what the host's KVM is and can do, and new virtual machines.
 *
 * @module
 */

import * as ioctls from "../../ffi/kvm_ioctls.ts";
import { KVM_CAP } from "../../ffi/kvm_caps.ts";
import { KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import { O_CLOEXEC, O_RDWR, open, SystemError } from "../../ffi/libc.ts";
import type { Capability } from "./capability.ts";
import {
  CPUID,
  type CpuidEntry,
  decodeCounted,
  emptyCounted,
  encodeCounted,
  type Msr,
  MSRS,
} from "./counted.ts";
import { Descriptor } from "./descriptor.ts";
import { explainOpenFailure, notKvm, wrongApiVersion } from "./unavailable.ts";
import { Vm } from "./vm.ts";

/** The default path of the KVM device. */
export const KVM_DEVICE = "/dev/kvm";

/**
 * An open KVM device.
 *
 * @example
 * ```ts
 * import { Kvm } from "./kvm.ts";
 * using kvm = Kvm.open();
 * console.log(kvm.apiVersion(), kvm.checkExtension("MAX_VCPUS"));
 * ```
 */
export class Kvm extends Descriptor {
  private constructor(readonly path: string, fd: number) {
    super("the KVM device", fd);
  }

  /**
   * Opens KVM and checks that it speaks version 12 of the API.
   *
   * @throws {KvmUnavailableError} with the problem and its remedy
   */
  static open(path: string = KVM_DEVICE): Kvm {
    let fd: number;
    try {
      fd = open(path, O_RDWR | O_CLOEXEC);
    } catch (error) {
      throw error instanceof SystemError ? explainOpenFailure(path, error) : error;
    }
    const kvm = new Kvm(path, fd);
    try {
      const version = kvm.apiVersion();
      if (version !== 12) throw wrongApiVersion(version);
      return kvm;
    } catch (error) {
      kvm[Symbol.dispose]();
      throw error instanceof SystemError ? notKvm(path) : error;
    }
  }

  /** `KVM_GET_API_VERSION`. */
  apiVersion(): number {
    return this.call("KVM_GET_API_VERSION", ioctls.KVM_GET_API_VERSION);
  }

  /** `KVM_CHECK_EXTENSION`: 0 when the capability is absent, else its value. */
  checkExtension(capability: Capability): number {
    return this.call("KVM_CHECK_EXTENSION", ioctls.KVM_CHECK_EXTENSION, KVM_CAP[capability]);
  }

  /** Whether it makes software-protected VMs: those whose memory can be private. */
  get hasProtectedVms(): boolean {
    return (this.checkExtension("VM_TYPES") & (1 << KVM_X86_VM_TYPE.SW_PROTECTED)) !== 0;
  }

  /** `KVM_GET_VCPU_MMAP_SIZE`, in bytes. */
  vcpuMmapSizeBytes(): number {
    return this.call("KVM_GET_VCPU_MMAP_SIZE", ioctls.KVM_GET_VCPU_MMAP_SIZE);
  }

  /** `KVM_GET_SUPPORTED_CPUID`: the leaves that guests can be given here. */
  supportedCpuid(): CpuidEntry[] {
    return decodeCounted(CPUID, this.supportedCpuidTable());
  }

  /** The same as the `struct kvm_cpuid2` that it is, to be passed on as it stands. */
  supportedCpuidTable(): Uint8Array<ArrayBuffer> {
    return this.#cpuid("KVM_GET_SUPPORTED_CPUID", ioctls.KVM_GET_SUPPORTED_CPUID);
  }

  /** `KVM_GET_EMULATED_CPUID`: the leaves that KVM emulates. */
  emulatedCpuid(): CpuidEntry[] {
    const name = "KVM_GET_EMULATED_CPUID";
    return decodeCounted(CPUID, this.#cpuid(name, ioctls.KVM_GET_EMULATED_CPUID));
  }

  /** `KVM_GET_MSR_INDEX_LIST`: MSRs that a guest's state is made of. */
  msrIndexList(): number[] {
    return this.#indexList("KVM_GET_MSR_INDEX_LIST", ioctls.KVM_GET_MSR_INDEX_LIST);
  }

  /** `KVM_GET_MSR_FEATURE_INDEX_LIST`: MSRs that describe the host's features. */
  msrFeatureIndexList(): number[] {
    return this.#indexList("KVM_GET_MSR_FEATURE_INDEX_LIST", ioctls.KVM_GET_MSR_FEATURE_INDEX_LIST);
  }

  /** `KVM_GET_MSRS` on the device: values of feature MSRs. */
  featureMsrs(indices: readonly number[]): Msr[] {
    const bytes = encodeCounted(MSRS, indices.map((index) => ({ index })));
    const count = this.exchange("KVM_GET_MSRS", ioctls.KVM_GET_MSRS, bytes);
    return decodeCounted(MSRS, bytes, count).map(({ index, data }) => ({ index, data }));
  }

  /**
   * `KVM_CREATE_VM`.
   *
   * @param type a machine type (`KVM_X86_*_VM`); 0 is the ordinary one
   */
  createVm(type = 0): Vm {
    const fd = this.call("KVM_CREATE_VM", ioctls.KVM_CREATE_VM, type);
    return new Vm(fd, this.vcpuMmapSizeBytes(), this);
  }

  #cpuid(name: string, request: number): Uint8Array<ArrayBuffer> {
    for (let room = 128;; room *= 2) {
      const bytes = emptyCounted(CPUID, room);
      try {
        this.exchange(name, request, bytes);
        return bytes;
      } catch (error) {
        if (!(error instanceof SystemError && error.code === "E2BIG")) throw error;
      }
    }
  }

  #indexList(name: string, request: number): number[] {
    const probe = new Uint32Array(1);
    try {
      this.exchange(name, request, new Uint8Array(probe.buffer));
    } catch (error) {
      // The kernel answers E2BIG and says how many there are.
      if (!(error instanceof SystemError && error.code === "E2BIG")) throw error;
    }
    const list = new Uint32Array(1 + probe[0]!);
    list[0] = probe[0]!;
    this.exchange(name, request, new Uint8Array(list.buffer));
    return [...list.subarray(1, 1 + list[0]!)];
  }
}
