/**
 * One virtual machine: memory slots, the in-kernel interrupt controllers, vCPUs.
 *
 * @module
 */

import * as ioctls from "../../ffi/kvm_ioctls.ts";
import { KVM_CAP } from "../../ffi/kvm_caps.ts";
import * as structs from "../../ffi/kvm_structs.ts";
import { addressOf } from "../../ffi/memory.ts";
import type { PartialStruct, StructOf } from "../../ffi/layout.ts";
import type { Capability } from "./capability.ts";
import { type Counted, encodeCounted } from "./counted.ts";
import { Descriptor } from "./descriptor.ts";
import { Vcpu } from "./vcpu.ts";

/** A memory slot (`struct kvm_userspace_memory_region`). */
export interface MemoryRegion {
  /** The slot's number. */
  readonly slot: number;
  /** `KVM_MEM_*` flags. Default 0. */
  readonly flags?: number;
  /** Where it begins in guest physical memory; page-aligned. */
  readonly gpa: bigint;
  /** Its size in bytes; 0 deletes the slot. */
  readonly sizeBytes: number;
  /** The host memory behind it (HVA). */
  readonly hva: bigint;
}

/** A memory slot that may have a guest_memfd (`struct kvm_userspace_memory_region2`). */
export interface MemoryRegion2 extends MemoryRegion {
  /** The guest_memfd, with `KVM_MEM_GUEST_MEMFD` in the flags. */
  readonly guestMemfd?: number;
  /** Where in the guest_memfd the slot begins, in bytes. */
  readonly guestMemfdOffset?: bigint;
}

/** Where a GSI leads (`struct kvm_irq_routing_entry`). */
export type GsiRoute = PartialStruct<typeof structs.KVM_IRQ_ROUTING_ENTRY>;

const GSI_ROUTES: Counted<typeof structs.KVM_IRQ_ROUTING_ENTRY> = {
  headerBytes: structs.KVM_IRQ_ROUTING.size,
  entry: structs.KVM_IRQ_ROUTING_ENTRY,
};

/** A guest_memfd: memory that belongs to the guest and that only KVM maps. */
export class GuestMemfd extends Descriptor {}

/**
 * An open virtual machine. Disposing it disposes its vCPUs first.
 *
 * @example
 * ```ts
 * import { Kvm } from "./kvm.ts";
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 * using vcpu = vm.createVcpu(0);
 * console.log(vcpu.regs().rip); // 0xfff0n, the reset vector's offset
 * ```
 */
export class Vm extends Descriptor {
  /** @param vcpuMmapSizeBytes how much of a vCPU's descriptor is mapped */
  constructor(fd: number, readonly vcpuMmapSizeBytes: number, kvm: Descriptor) {
    super("the VM", fd, kvm);
  }

  /** `KVM_CHECK_EXTENSION` on the VM, where the answer may depend on its type. */
  checkExtension(capability: Capability): number {
    return this.call("KVM_CHECK_EXTENSION", ioctls.KVM_CHECK_EXTENSION, KVM_CAP[capability]);
  }

  /** `KVM_ENABLE_CAP`. */
  enableCap(capability: Capability, ...args: bigint[]): void {
    this.set("KVM_ENABLE_CAP", ioctls.KVM_ENABLE_CAP, structs.KVM_ENABLE_CAP_STRUCT, {
      cap: KVM_CAP[capability],
      args,
    });
  }

  /** `KVM_SET_USER_MEMORY_REGION`: makes, moves, changes or (size 0) deletes a slot. */
  setUserMemoryRegion(region: MemoryRegion): void {
    this.set(
      "KVM_SET_USER_MEMORY_REGION",
      ioctls.KVM_SET_USER_MEMORY_REGION,
      structs.KVM_USERSPACE_MEMORY_REGION,
      {
        slot: region.slot,
        flags: region.flags ?? 0,
        guest_phys_addr: region.gpa,
        memory_size: BigInt(region.sizeBytes),
        userspace_addr: region.hva,
      },
    );
  }

  /** `KVM_SET_USER_MEMORY_REGION2`: the same for a slot with a guest_memfd. */
  setUserMemoryRegion2(region: MemoryRegion2): void {
    this.set(
      "KVM_SET_USER_MEMORY_REGION2",
      ioctls.KVM_SET_USER_MEMORY_REGION2,
      structs.KVM_USERSPACE_MEMORY_REGION2,
      {
        slot: region.slot,
        flags: region.flags ?? 0,
        guest_phys_addr: region.gpa,
        memory_size: BigInt(region.sizeBytes),
        userspace_addr: region.hva,
        guest_memfd: region.guestMemfd ?? 0,
        guest_memfd_offset: region.guestMemfdOffset ?? 0n,
      },
    );
  }

  /**
   * `KVM_CREATE_GUEST_MEMFD`.
   *
   * @param flags `GUEST_MEMFD_FLAG_*`
   */
  createGuestMemfd(sizeBytes: number, flags = 0n): GuestMemfd {
    const fd = this.set(
      "KVM_CREATE_GUEST_MEMFD",
      ioctls.KVM_CREATE_GUEST_MEMFD,
      structs.KVM_CREATE_GUEST_MEMFD_STRUCT,
      { size: BigInt(sizeBytes), flags },
    );
    return new GuestMemfd("the guest_memfd", fd, this);
  }

  /** `KVM_SET_MEMORY_ATTRIBUTES`: makes a range of guest memory private or shared. */
  setMemoryAttributes(gpa: bigint, sizeBytes: bigint, attributes: bigint): void {
    this.set(
      "KVM_SET_MEMORY_ATTRIBUTES",
      ioctls.KVM_SET_MEMORY_ATTRIBUTES,
      structs.KVM_MEMORY_ATTRIBUTES,
      { address: gpa, size: sizeBytes, attributes },
    );
  }

  /** `KVM_GET_DIRTY_LOG`: a bit per page of the slot, set where it was written since last asked. */
  dirtyLog(slot: number, pages: number): Uint8Array<ArrayBuffer> {
    const bitmap = new Uint8Array(Math.ceil(pages / 64) * 8);
    this.set("KVM_GET_DIRTY_LOG", ioctls.KVM_GET_DIRTY_LOG, structs.KVM_DIRTY_LOG, {
      slot,
      dirty_bitmap: addressOf(bitmap),
    });
    return bitmap;
  }

  /** `KVM_SET_TSS_ADDR`: three pages below 4 GiB that Intel hosts need for real mode. */
  setTssAddress(gpa: number): void {
    this.call("KVM_SET_TSS_ADDR", ioctls.KVM_SET_TSS_ADDR, gpa);
  }

  /** `KVM_SET_IDENTITY_MAP_ADDR`: one page below 4 GiB, before the first vCPU. */
  setIdentityMapAddress(gpa: bigint): void {
    const bytes = new Uint8Array(new BigUint64Array([gpa]).buffer);
    this.exchange("KVM_SET_IDENTITY_MAP_ADDR", ioctls.KVM_SET_IDENTITY_MAP_ADDR, bytes);
  }

  /** `KVM_CREATE_IRQCHIP`: PIC, IOAPIC and local APICs in the kernel; before the first vCPU. */
  createIrqchip(): void {
    this.call("KVM_CREATE_IRQCHIP", ioctls.KVM_CREATE_IRQCHIP);
  }

  /** `KVM_CREATE_PIT2`: the timer in the kernel. @param flags `KVM_PIT_SPEAKER_DUMMY` = 1 */
  createPit2(flags = 0): void {
    this.set("KVM_CREATE_PIT2", ioctls.KVM_CREATE_PIT2, structs.KVM_PIT_CONFIG, { flags });
  }

  /** `KVM_IRQ_LINE`: raises or lowers an input of the in-kernel interrupt controllers. */
  setIrqLine(irq: number, level: boolean): void {
    this.set("KVM_IRQ_LINE", ioctls.KVM_IRQ_LINE, structs.KVM_IRQ_LEVEL, {
      irq,
      level: level ? 1 : 0,
    });
  }

  /** `KVM_SET_GSI_ROUTING`: replaces the table of where GSIs lead. */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    const bytes = encodeCounted(GSI_ROUTES, routes);
    this.exchange("KVM_SET_GSI_ROUTING", ioctls.KVM_SET_GSI_ROUTING, bytes);
  }

  /**
   * `KVM_GET_IRQCHIP`: a chip's state.
   *
   * @param chip one of `KVM_IRQCHIP`
   * @returns 512 bytes, of which a PIC fills 16 and the I/O APIC 216
   */
  irqchip(chip: number): Uint8Array {
    const shape = structs.KVM_IRQCHIP_STRUCT;
    return this.get("KVM_GET_IRQCHIP", ioctls.KVM_GET_IRQCHIP, shape, { chip_id: chip }).chip;
  }

  /** `KVM_SET_IRQCHIP`: a chip's state. @param state up to 512 bytes */
  setIrqchip(chip: number, state: Uint8Array<ArrayBuffer>): void {
    const shape = structs.KVM_IRQCHIP_STRUCT;
    this.set("KVM_SET_IRQCHIP", ioctls.KVM_SET_IRQCHIP, shape, { chip_id: chip, chip: state });
  }

  /** `KVM_GET_PIT2`: the timer's state. */
  pit2(): StructOf<typeof structs.KVM_PIT_STATE2> {
    return this.get("KVM_GET_PIT2", ioctls.KVM_GET_PIT2, structs.KVM_PIT_STATE2);
  }

  /** `KVM_SET_PIT2`: the timer's state; its channels restart their counts. */
  setPit2(state: PartialStruct<typeof structs.KVM_PIT_STATE2>): void {
    this.set("KVM_SET_PIT2", ioctls.KVM_SET_PIT2, structs.KVM_PIT_STATE2, state);
  }

  /** `KVM_SIGNAL_MSI`: sends a message-signalled interrupt. */
  signalMsi(message: PartialStruct<typeof structs.KVM_MSI>): void {
    this.set("KVM_SIGNAL_MSI", ioctls.KVM_SIGNAL_MSI, structs.KVM_MSI, message);
  }

  /** `KVM_IOEVENTFD`: lets a guest's write to a port or GPA signal an eventfd, without an exit. */
  ioeventfd(event: PartialStruct<typeof structs.KVM_IOEVENTFD_STRUCT>): void {
    this.set("KVM_IOEVENTFD", ioctls.KVM_IOEVENTFD, structs.KVM_IOEVENTFD_STRUCT, event);
  }

  /** `KVM_IRQFD`: lets an eventfd raise an interrupt. */
  irqfd(event: PartialStruct<typeof structs.KVM_IRQFD_STRUCT>): void {
    this.set("KVM_IRQFD", ioctls.KVM_IRQFD, structs.KVM_IRQFD_STRUCT, event);
  }

  /** `KVM_GET_CLOCK`: the paravirtual clock, in nanoseconds. */
  clock(): StructOf<typeof structs.KVM_CLOCK_DATA> {
    return this.get("KVM_GET_CLOCK", ioctls.KVM_GET_CLOCK, structs.KVM_CLOCK_DATA);
  }

  /** `KVM_SET_CLOCK`. */
  setClock(clock: PartialStruct<typeof structs.KVM_CLOCK_DATA>): void {
    this.set("KVM_SET_CLOCK", ioctls.KVM_SET_CLOCK, structs.KVM_CLOCK_DATA, clock);
  }

  /** `KVM_CREATE_VCPU`. @param id the vCPU's number, which is also its APIC id */
  createVcpu(id: number): Vcpu {
    const fd = this.call("KVM_CREATE_VCPU", ioctls.KVM_CREATE_VCPU, id);
    return new Vcpu(fd, id, this.vcpuMmapSizeBytes, this);
  }
}
