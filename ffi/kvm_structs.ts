/**
 * Structs of the KVM UAPI that the system and VM descriptors take, from
 * `<linux/kvm.h>` and x86's `<asm/kvm.h>`. The vCPU's are in `vcpu_structs.ts`.
 *
 * A layout has its struct's name in capitals, with `_STRUCT` behind it where an
 * ioctl or a table of constants has that name already. For a struct with a
 * flexible array it covers the header; the entry has its own layout.
 *
 * @module
 */

import { layout, type StructOf } from "./layout.ts";

/** `struct kvm_userspace_memory_region`: one memslot (`KVM_SET_USER_MEMORY_REGION`). */
export const KVM_USERSPACE_MEMORY_REGION = layout("kvm_userspace_memory_region", 32, {
  slot: [0, "u32"],
  flags: [4, "u32"],
  guest_phys_addr: [8, "u64"],
  memory_size: [16, "u64"],
  userspace_addr: [24, "u64"],
});

/** A decoded `struct kvm_userspace_memory_region`. */
export type KvmUserspaceMemoryRegion = StructOf<typeof KVM_USERSPACE_MEMORY_REGION>;

/**
 * `struct kvm_userspace_memory_region2`: one memslot, which a guest_memfd may
 * back (`KVM_SET_USER_MEMORY_REGION2`).
 */
export const KVM_USERSPACE_MEMORY_REGION2 = layout("kvm_userspace_memory_region2", 160, {
  slot: [0, "u32"],
  flags: [4, "u32"],
  guest_phys_addr: [8, "u64"],
  memory_size: [16, "u64"],
  userspace_addr: [24, "u64"],
  guest_memfd_offset: [32, "u64"],
  guest_memfd: [40, "u32"],
  pad1: [44, "u32"],
  pad2: [48, "u64", 14],
});

/** A decoded `struct kvm_userspace_memory_region2`. */
export type KvmUserspaceMemoryRegion2 = StructOf<typeof KVM_USERSPACE_MEMORY_REGION2>;

/** `struct kvm_create_guest_memfd`: size in bytes and `GUEST_MEMFD_FLAG` bits. */
export const KVM_CREATE_GUEST_MEMFD_STRUCT = layout("kvm_create_guest_memfd", 64, {
  size: [0, "u64"],
  flags: [8, "u64"],
  reserved: [16, "u64", 6],
});

/** `struct kvm_memory_attributes`: attributes of a GPA range (`KVM_SET_MEMORY_ATTRIBUTES`). */
export const KVM_MEMORY_ATTRIBUTES = layout("kvm_memory_attributes", 32, {
  address: [0, "u64"],
  size: [8, "u64"],
  attributes: [16, "u64"],
  flags: [24, "u64"],
});

/**
 * `struct kvm_pre_fault_memory`: the GPA range that `KVM_PRE_FAULT_MEMORY` maps
 * ahead of time. The kernel advances `gpa` and `size` past what it has mapped.
 */
export const KVM_PRE_FAULT_MEMORY_STRUCT = layout("kvm_pre_fault_memory", 64, {
  gpa: [0, "u64"],
  size: [8, "u64"],
  flags: [16, "u64"],
  padding: [24, "u64", 5],
});

/** `struct kvm_dirty_log`: a slot and the HVA of its bitmap, one bit per page. */
export const KVM_DIRTY_LOG = layout("kvm_dirty_log", 16, {
  slot: [0, "u32"],
  padding1: [4, "u32"],
  dirty_bitmap: [8, "u64"],
});

/** `struct kvm_clear_dirty_log`: pages of a slot to write-protect again. */
export const KVM_CLEAR_DIRTY_LOG_STRUCT = layout("kvm_clear_dirty_log", 24, {
  slot: [0, "u32"],
  num_pages: [4, "u32"],
  first_page: [8, "u64"],
  dirty_bitmap: [16, "u64"],
});

/** `struct kvm_coalesced_mmio_zone`: a range of MMIO (`pio` 0) or ports (1) to batch. */
export const KVM_COALESCED_MMIO_ZONE = layout("kvm_coalesced_mmio_zone", 16, {
  addr: [0, "u64"],
  size: [8, "u32"],
  pio: [12, "u32"],
});

/** `struct kvm_irq_level`: a GSI and its level; `KVM_IRQ_LINE_STATUS` fills `status`. */
export const KVM_IRQ_LEVEL = layout("kvm_irq_level", 8, {
  irq: [0, "u32"],
  status: [0, "i32"],
  level: [4, "u32"],
});

/**
 * `struct kvm_irqchip`: state of one chip; `chip_id` is from the `KVM_IRQCHIP`
 * table. `chip` is a union, of which a PIC fills 16 bytes and an I/O APIC 216.
 */
export const KVM_IRQCHIP_STRUCT = layout("kvm_irqchip", 520, {
  chip_id: [0, "u32"],
  pad: [4, "u32"],
  chip: [8, "u8", 512],
});

/** `struct kvm_pic_state`: the `chip` of a PIC. */
export const KVM_PIC_STATE = layout("kvm_pic_state", 16, {
  last_irr: [0, "u8"],
  irr: [1, "u8"],
  imr: [2, "u8"],
  isr: [3, "u8"],
  priority_add: [4, "u8"],
  irq_base: [5, "u8"],
  read_reg_select: [6, "u8"],
  poll: [7, "u8"],
  special_mask: [8, "u8"],
  init_state: [9, "u8"],
  auto_eoi: [10, "u8"],
  rotate_on_auto_eoi: [11, "u8"],
  special_fully_nested_mode: [12, "u8"],
  init4: [13, "u8"],
  elcr: [14, "u8"],
  elcr_mask: [15, "u8"],
});

/** `struct kvm_irq_routing_irqchip`: a pin of one of the `KVM_IRQCHIP` chips. */
export const KVM_IRQ_ROUTING_IRQCHIP = layout("kvm_irq_routing_irqchip", 8, {
  irqchip: [0, "u32"],
  pin: [4, "u32"],
});

/** `struct kvm_irq_routing_msi`: the message that a GSI sends. */
export const KVM_IRQ_ROUTING_MSI = layout("kvm_irq_routing_msi", 16, {
  address_lo: [0, "u32"],
  address_hi: [4, "u32"],
  data: [8, "u32"],
  devid: [12, "u32"],
});

/** The union `u` of `struct kvm_irq_routing_entry`; the entry's `type` says which member. */
export const KVM_IRQ_ROUTING_ENTRY_U = layout("kvm_irq_routing_entry.u", 32, {
  irqchip: [0, KVM_IRQ_ROUTING_IRQCHIP],
  msi: [0, KVM_IRQ_ROUTING_MSI],
});

/** `struct kvm_irq_routing_entry`: the route of one GSI (`KVM_IRQ_ROUTING_TYPE`). */
export const KVM_IRQ_ROUTING_ENTRY = layout("kvm_irq_routing_entry", 48, {
  gsi: [0, "u32"],
  type: [4, "u32"],
  flags: [8, "u32"],
  pad: [12, "u32"],
  u: [16, KVM_IRQ_ROUTING_ENTRY_U],
});

/** `struct kvm_irq_routing`: header of a table of {@linkcode KVM_IRQ_ROUTING_ENTRY}. */
export const KVM_IRQ_ROUTING = layout("kvm_irq_routing", 8, {
  nr: [0, "u32"],
  flags: [4, "u32"],
});

/** `struct kvm_msi`: a message-signalled interrupt to deliver now (`KVM_SIGNAL_MSI`). */
export const KVM_MSI = layout("kvm_msi", 32, {
  address_lo: [0, "u32"],
  address_hi: [4, "u32"],
  data: [8, "u32"],
  flags: [12, "u32"],
  devid: [16, "u32"],
  pad: [20, "u8", 12],
});

/** `struct kvm_irqfd`: an eventfd that raises a GSI. */
export const KVM_IRQFD_STRUCT = layout("kvm_irqfd", 32, {
  fd: [0, "u32"],
  gsi: [4, "u32"],
  flags: [8, "u32"],
  resamplefd: [12, "u32"],
  pad: [16, "u8", 16],
});

/** `struct kvm_ioeventfd`: an eventfd that a guest write to a port or GPA signals. */
export const KVM_IOEVENTFD_STRUCT = layout("kvm_ioeventfd", 64, {
  datamatch: [0, "u64"],
  addr: [8, "u64"],
  len: [16, "u32"],
  fd: [20, "i32"],
  flags: [24, "u32"],
  pad: [28, "u8", 36],
});

/** `struct kvm_pit_config`: the argument of `KVM_CREATE_PIT2`. */
export const KVM_PIT_CONFIG = layout("kvm_pit_config", 64, {
  flags: [0, "u32"],
  pad: [4, "u32", 15],
});

/** `struct kvm_pit_channel_state`: one counter of the 8254. */
export const KVM_PIT_CHANNEL_STATE = layout("kvm_pit_channel_state", 24, {
  count: [0, "u32"],
  latched_count: [4, "u16"],
  count_latched: [6, "u8"],
  status_latched: [7, "u8"],
  status: [8, "u8"],
  read_state: [9, "u8"],
  write_state: [10, "u8"],
  write_latch: [11, "u8"],
  rw_mode: [12, "u8"],
  mode: [13, "u8"],
  bcd: [14, "u8"],
  gate: [15, "u8"],
  count_load_time: [16, "i64"],
});

/** `struct kvm_pit_state`: the 8254 as `KVM_GET_PIT` gives it. */
export const KVM_PIT_STATE = layout("kvm_pit_state", 72, {
  channels: [0, KVM_PIT_CHANNEL_STATE, 3],
});

/** `struct kvm_pit_state2`: the 8254 as `KVM_GET_PIT2` gives it. */
export const KVM_PIT_STATE2 = layout("kvm_pit_state2", 112, {
  channels: [0, KVM_PIT_CHANNEL_STATE, 3],
  flags: [72, "u32"],
  reserved: [76, "u32", 9],
});

/** `struct kvm_clock_data`: the VM's clock, in nanoseconds (`KVM_GET_CLOCK`). */
export const KVM_CLOCK_DATA = layout("kvm_clock_data", 48, {
  clock: [0, "u64"],
  flags: [8, "u32"],
  pad0: [12, "u32"],
  realtime: [16, "u64"],
  host_tsc: [24, "u64"],
  pad: [32, "u32", 4],
});

/** `struct kvm_enable_cap`: a `KVM_CAP` number and its arguments. */
export const KVM_ENABLE_CAP_STRUCT = layout("kvm_enable_cap", 104, {
  cap: [0, "u32"],
  flags: [4, "u32"],
  args: [8, "u64", 4],
  pad: [40, "u8", 64],
});

/**
 * `struct kvm_msr_filter_range`: which of `nmsrs` MSRs from `base` on may be
 * accessed; `bitmap` is an HVA, a set bit allows.
 */
export const KVM_MSR_FILTER_RANGE = layout("kvm_msr_filter_range", 24, {
  flags: [0, "u32"],
  nmsrs: [4, "u32"],
  base: [8, "u32"],
  bitmap: [16, "u64"],
});

/** `struct kvm_msr_filter`: the argument of `KVM_X86_SET_MSR_FILTER`. */
export const KVM_MSR_FILTER = layout("kvm_msr_filter", 392, {
  flags: [0, "u32"],
  ranges: [8, KVM_MSR_FILTER_RANGE, 16],
});

/** `struct kvm_msr_list`: header of a list of `u32` MSR indices (`KVM_GET_MSR_INDEX_LIST`). */
export const KVM_MSR_LIST = layout("kvm_msr_list", 4, {
  nmsrs: [0, "u32"],
});
