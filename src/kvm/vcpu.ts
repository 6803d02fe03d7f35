/**
 * One virtual CPU: its state, and `KVM_RUN`.
 *
 * @module
 */

import * as ioctls from "../../ffi/kvm_ioctls.ts";
import { KVM_CAP } from "../../ffi/kvm_caps.ts";
import * as structs from "../../ffi/vcpu_structs.ts";
import { KVM_ENABLE_CAP_STRUCT } from "../../ffi/kvm_structs.ts";
import { MAP, mmap, munmap } from "../../ffi/memory.ts";
import { KERNEL_SIGSET_BYTES } from "../../ffi/signals.ts";
import type { PartialStruct, StructOf } from "../../ffi/layout.ts";
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
import { ExitCycle, type ExitPagePlace } from "./exit_cycle.ts";
import type { ExitPage } from "./exit_page.ts";
import type { RunResult } from "./run_result.ts";

/** General registers (`struct kvm_regs`). */
export type Regs = StructOf<typeof structs.KVM_REGS>;
/** Segment, control and system registers (`struct kvm_sregs`). */
export type Sregs = StructOf<typeof structs.KVM_SREGS>;
/** x87 and SSE state (`struct kvm_fpu`). */
export type Fpu = StructOf<typeof structs.KVM_FPU>;
/** Debug registers (`struct kvm_debugregs`). */
export type DebugRegs = StructOf<typeof structs.KVM_DEBUGREGS>;
/** Pending and injected events (`struct kvm_vcpu_events`). */
export type VcpuEvents = StructOf<typeof structs.KVM_VCPU_EVENTS>;
/** What KVM says of a guest virtual address (`struct kvm_translation`). */
export type Translation = StructOf<typeof structs.KVM_TRANSLATION>;

/**
 * An open vCPU with its mapped `struct kvm_run`. Run it on the thread that made it,
 * or on the one thread that was given its {@linkcode place}.
 *
 * @example
 * ```ts
 * import { Kvm } from "./kvm.ts";
 * import { RunResult } from "./run_result.ts";
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 * using vcpu = vm.createVcpu(0);
 * vcpu.page.immediateExit = true; // without memory there is nothing to run
 * console.log(vcpu.run() === RunResult.interrupted); // true
 * ```
 */
export class Vcpu extends Descriptor {
  /** Where its `kvm_run` is mapped. */
  readonly place: ExitPagePlace;
  /** Enters it, and says what its last exit still needs. */
  readonly cycle: ExitCycle;

  /** @param mappedBytes how much of the descriptor to map */
  constructor(fd: number, readonly id: number, mappedBytes: number, vm: Descriptor) {
    super(`vCPU ${id}`, fd, vm);
    try {
      const address = mmap(mappedBytes, { fd, flags: MAP.SHARED });
      this.place = { fd, address, sizeBytes: mappedBytes };
      this.cycle = ExitCycle.at(this.place, this.what);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  protected override release(): void {
    if (this.cycle === undefined) return;
    this.page.release();
    munmap(this.place.address, this.place.sizeBytes);
  }

  /** The mapped `struct kvm_run`. */
  get page(): ExitPage {
    return this.cycle.page;
  }

  /** {@linkcode ExitCycle.run}. @throws {DisposedError} */
  run(): RunResult {
    return this.cycle.run();
  }

  /** `KVM_GET_REGS`. */
  regs(): Regs {
    return this.get("KVM_GET_REGS", ioctls.KVM_GET_REGS, structs.KVM_REGS);
  }

  /** `KVM_SET_REGS`: omitted fields become zero. */
  setRegs(regs: PartialStruct<typeof structs.KVM_REGS>): void {
    this.set("KVM_SET_REGS", ioctls.KVM_SET_REGS, structs.KVM_REGS, regs);
  }

  /** `KVM_GET_SREGS`. */
  sregs(): Sregs {
    return this.get("KVM_GET_SREGS", ioctls.KVM_GET_SREGS, structs.KVM_SREGS);
  }

  /** `KVM_SET_SREGS`. */
  setSregs(sregs: Sregs): void {
    this.set("KVM_SET_SREGS", ioctls.KVM_SET_SREGS, structs.KVM_SREGS, sregs);
  }

  /** `KVM_GET_FPU`. */
  fpu(): Fpu {
    return this.get("KVM_GET_FPU", ioctls.KVM_GET_FPU, structs.KVM_FPU);
  }

  /** `KVM_SET_FPU`. */
  setFpu(fpu: PartialStruct<typeof structs.KVM_FPU>): void {
    this.set("KVM_SET_FPU", ioctls.KVM_SET_FPU, structs.KVM_FPU, fpu);
  }

  /** `KVM_GET_XSAVE`: the XSAVE area, 4096 bytes. */
  xsave(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(structs.KVM_XSAVE.size);
    this.exchange("KVM_GET_XSAVE", ioctls.KVM_GET_XSAVE, bytes);
    return bytes;
  }

  /** `KVM_SET_XSAVE`. @param area 4096 bytes */
  setXsave(area: Uint8Array<ArrayBuffer>): void {
    if (area.byteLength !== structs.KVM_XSAVE.size) {
      throw new RangeError(`an XSAVE area has 4096 bytes, got ${area.byteLength}`);
    }
    this.exchange("KVM_SET_XSAVE", ioctls.KVM_SET_XSAVE, area);
  }

  /** XCR0, by `KVM_GET_XCRS`: the state components that XSAVE manages. */
  xcr0(): bigint {
    const { nr_xcrs, xcrs } = this.get("KVM_GET_XCRS", ioctls.KVM_GET_XCRS, structs.KVM_XCRS);
    return xcrs.slice(0, nr_xcrs).find(({ xcr }) => xcr === 0)?.value ?? 0n;
  }

  /** Sets XCR0, by `KVM_SET_XCRS`. */
  setXcr0(value: bigint): void {
    const xcrs = { nr_xcrs: 1, xcrs: [{ xcr: 0, value }] };
    this.set("KVM_SET_XCRS", ioctls.KVM_SET_XCRS, structs.KVM_XCRS, xcrs);
  }

  /** `KVM_GET_MSRS`: the values, as many as KVM could read before the first it could not. */
  msrs(indices: readonly number[]): Msr[] {
    const bytes = encodeCounted(MSRS, indices.map((index) => ({ index })));
    const count = this.exchange("KVM_GET_MSRS", ioctls.KVM_GET_MSRS, bytes);
    return decodeCounted(MSRS, bytes, count).map(({ index, data }) => ({ index, data }));
  }

  /** `KVM_SET_MSRS`. @returns how many were set before the first that KVM refused */
  setMsrs(msrs: readonly Msr[]): number {
    const bytes = encodeCounted(MSRS, msrs);
    return this.exchange("KVM_SET_MSRS", ioctls.KVM_SET_MSRS, bytes);
  }

  /** `KVM_GET_LAPIC`: the local APIC's register page, 1024 bytes. Needs the in-kernel irqchip. */
  lapic(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(structs.KVM_LAPIC_STATE.size);
    this.exchange("KVM_GET_LAPIC", ioctls.KVM_GET_LAPIC, bytes);
    return bytes;
  }

  /** `KVM_SET_LAPIC`. @param registers 1024 bytes */
  setLapic(registers: Uint8Array<ArrayBuffer>): void {
    if (registers.byteLength !== structs.KVM_LAPIC_STATE.size) {
      throw new RangeError(`a local APIC has 1024 bytes, got ${registers.byteLength}`);
    }
    this.exchange("KVM_SET_LAPIC", ioctls.KVM_SET_LAPIC, registers);
  }

  /** `KVM_GET_MP_STATE`: one of `KVM_MP_STATE`. */
  mpState(): number {
    return this.get("KVM_GET_MP_STATE", ioctls.KVM_GET_MP_STATE, structs.KVM_MP_STATE_STRUCT)
      .mp_state;
  }

  /** `KVM_SET_MP_STATE`. */
  setMpState(state: number): void {
    this.set("KVM_SET_MP_STATE", ioctls.KVM_SET_MP_STATE, structs.KVM_MP_STATE_STRUCT, {
      mp_state: state,
    });
  }

  /** `KVM_GET_VCPU_EVENTS`. */
  events(): VcpuEvents {
    return this.get("KVM_GET_VCPU_EVENTS", ioctls.KVM_GET_VCPU_EVENTS, structs.KVM_VCPU_EVENTS);
  }

  /** `KVM_SET_VCPU_EVENTS`. */
  setEvents(events: PartialStruct<typeof structs.KVM_VCPU_EVENTS>): void {
    this.set(
      "KVM_SET_VCPU_EVENTS",
      ioctls.KVM_SET_VCPU_EVENTS,
      structs.KVM_VCPU_EVENTS,
      events,
    );
  }

  /** `KVM_GET_DEBUGREGS`. */
  debugRegs(): DebugRegs {
    return this.get("KVM_GET_DEBUGREGS", ioctls.KVM_GET_DEBUGREGS, structs.KVM_DEBUGREGS);
  }

  /** `KVM_SET_DEBUGREGS`. */
  setDebugRegs(registers: PartialStruct<typeof structs.KVM_DEBUGREGS>): void {
    this.set("KVM_SET_DEBUGREGS", ioctls.KVM_SET_DEBUGREGS, structs.KVM_DEBUGREGS, registers);
  }

  /** `KVM_SET_CPUID2`: what the guest's CPUID instruction answers. */
  setCpuid2(entries: readonly PartialStruct<typeof structs.KVM_CPUID_ENTRY2>[]): void {
    this.setCpuid2Table(encodeCounted(CPUID, entries));
  }

  /** The same from a whole `struct kvm_cpuid2`, such as `Kvm.supportedCpuidTable` gives. */
  setCpuid2Table(table: Uint8Array<ArrayBuffer>): void {
    this.exchange("KVM_SET_CPUID2", ioctls.KVM_SET_CPUID2, table);
  }

  /** `KVM_GET_CPUID2`. @param room how many entries to make room for */
  cpuid2(room = 256): CpuidEntry[] {
    const bytes = emptyCounted(CPUID, room);
    this.exchange("KVM_GET_CPUID2", ioctls.KVM_GET_CPUID2, bytes);
    return decodeCounted(CPUID, bytes);
  }

  /** `KVM_SET_GUEST_DEBUG`: single step, breakpoints (`KVM_GUESTDBG` flags). */
  setGuestDebug(debug: PartialStruct<typeof structs.KVM_GUEST_DEBUG>): void {
    this.set(
      "KVM_SET_GUEST_DEBUG",
      ioctls.KVM_SET_GUEST_DEBUG,
      structs.KVM_GUEST_DEBUG,
      debug,
    );
  }

  /** `KVM_TRANSLATE`: a guest virtual address by the vCPU's present paging mode. */
  translate(gva: bigint): Translation {
    return this.get("KVM_TRANSLATE", ioctls.KVM_TRANSLATE, structs.KVM_TRANSLATION, {
      linear_address: gva,
    });
  }

  /** `KVM_INTERRUPT`: queues an interrupt without an in-kernel irqchip. */
  interrupt(vector: number): void {
    this.set("KVM_INTERRUPT", ioctls.KVM_INTERRUPT, structs.KVM_INTERRUPT_STRUCT, { irq: vector });
  }

  /** `KVM_NMI`: queues a non-maskable interrupt. */
  nmi(): void {
    this.call("KVM_NMI", ioctls.KVM_NMI);
  }

  /**
   * `KVM_SET_SIGNAL_MASK`: the thread's signal mask while the guest runs.
   *
   * @param blocked the first 8 bytes are the kernel's sigset_t: bit n-1 for signal n
   */
  setSignalMask(blocked: Uint8Array): void {
    const bytes = new Uint8Array(4 + KERNEL_SIGSET_BYTES);
    new DataView(bytes.buffer).setUint32(0, KERNEL_SIGSET_BYTES, true);
    bytes.set(blocked.subarray(0, KERNEL_SIGSET_BYTES), 4);
    this.exchange("KVM_SET_SIGNAL_MASK", ioctls.KVM_SET_SIGNAL_MASK, bytes);
  }

  /** `KVM_ENABLE_CAP` on the vCPU. */
  enableCap(capability: Capability, ...args: bigint[]): void {
    this.set("KVM_ENABLE_CAP", ioctls.KVM_ENABLE_CAP, KVM_ENABLE_CAP_STRUCT, {
      cap: KVM_CAP[capability],
      args,
    });
  }
}
