/**
 * The ioctl numbers of KVM on x86, from `<linux/kvm.h>`, under their C names.
 * Each says what it does and, unless it is part of the oldest API, the capability
 * that announces it. Requests of other architectures are missing.
 *
 * Some directions are odd in the header itself (`KVM_SET_IRQCHIP` is an `_IOR`)
 * and a list's request carries the size of its header alone: both are ABI.
 *
 * @module
 */

import { io, ior, iow, iowr } from "./ioctl.ts";
import {
  KVM_CLEAR_DIRTY_LOG_STRUCT,
  KVM_CLOCK_DATA,
  KVM_COALESCED_MMIO_ZONE,
  KVM_CREATE_GUEST_MEMFD_STRUCT,
  KVM_DIRTY_LOG,
  KVM_ENABLE_CAP_STRUCT,
  KVM_IOEVENTFD_STRUCT,
  KVM_IRQ_LEVEL,
  KVM_IRQ_ROUTING,
  KVM_IRQCHIP_STRUCT,
  KVM_IRQFD_STRUCT,
  KVM_MEMORY_ATTRIBUTES,
  KVM_MSI,
  KVM_MSR_FILTER,
  KVM_MSR_LIST,
  KVM_PIT_CONFIG,
  KVM_PIT_STATE,
  KVM_PIT_STATE2,
  KVM_PRE_FAULT_MEMORY_STRUCT,
  KVM_USERSPACE_MEMORY_REGION,
  KVM_USERSPACE_MEMORY_REGION2,
} from "./kvm_structs.ts";
import {
  KVM_CPUID2,
  KVM_DEBUGREGS,
  KVM_FPU,
  KVM_GUEST_DEBUG,
  KVM_INTERRUPT_STRUCT,
  KVM_LAPIC_STATE,
  KVM_MP_STATE_STRUCT,
  KVM_MSRS,
  KVM_ONE_REG,
  KVM_REGS,
  KVM_SIGNAL_MASK,
  KVM_SREGS,
  KVM_SREGS2,
  KVM_TRANSLATION,
  KVM_VCPU_EVENTS,
  KVM_XCRS,
  KVM_XSAVE,
} from "./vcpu_structs.ts";

/** The ioctl type of every KVM request. */
export const KVMIO = 0xae;

/** `sizeof(__u64)` and, on x86-64, `sizeof(unsigned long)`. */
const U64 = 8;

// The system descriptor, /dev/kvm.

/** Returns the API version, which stays 12. */
export const KVM_GET_API_VERSION: number = io(KVMIO, 0x00);
/** Takes a `KVM_X86_VM_TYPE`; returns a VM descriptor. */
export const KVM_CREATE_VM: number = io(KVMIO, 0x01);
/** Fills a `kvm_msr_list` with the MSRs that save and restore guest state. */
export const KVM_GET_MSR_INDEX_LIST: number = iowr(KVMIO, 0x02, KVM_MSR_LIST);
/** Takes a `KVM_CAP` number; returns 0 or what the capability defines. Also on a VM. */
export const KVM_CHECK_EXTENSION: number = io(KVMIO, 0x03);
/** Returns how many bytes of a vCPU descriptor to map. */
export const KVM_GET_VCPU_MMAP_SIZE: number = io(KVMIO, 0x04);
/** Fills a `kvm_cpuid2` with what KVM and this host can offer a guest. */
export const KVM_GET_SUPPORTED_CPUID: number = iowr(KVMIO, 0x05, KVM_CPUID2);
/** Fills a `kvm_cpuid2` with the features that KVM emulates (EXT_EMUL_CPUID). */
export const KVM_GET_EMULATED_CPUID: number = iowr(KVMIO, 0x09, KVM_CPUID2);
/** Fills a `kvm_msr_list` with the feature MSRs of the system (GET_MSR_FEATURES). */
export const KVM_GET_MSR_FEATURE_INDEX_LIST: number = iowr(KVMIO, 0x0a, KVM_MSR_LIST);
/** Returns in a `u64` the machine-check capabilities that a guest may have (MCE). */
export const KVM_X86_GET_MCE_CAP_SUPPORTED: number = ior(KVMIO, 0x9d, U64);
/** Fills a `kvm_cpuid2` with the Hyper-V leaves (HYPERV_CPUID). Also on a vCPU. */
export const KVM_GET_SUPPORTED_HV_CPUID: number = iowr(KVMIO, 0xc1, KVM_CPUID2);

// A VM: memory.

/** Takes a vCPU id; returns a vCPU descriptor. */
export const KVM_CREATE_VCPU: number = io(KVMIO, 0x41);
/** Copies a slot's dirty bitmap out and, by default, clears it. */
export const KVM_GET_DIRTY_LOG: number = iow(KVMIO, 0x42, KVM_DIRTY_LOG);
/** Sets how many pages the shadow MMU may use (MMU_SHADOW_CACHE_CONTROL). */
export const KVM_SET_NR_MMU_PAGES: number = io(KVMIO, 0x44);
/** Returns what `KVM_SET_NR_MMU_PAGES` set. Newer kernels refuse it. */
export const KVM_GET_NR_MMU_PAGES: number = io(KVMIO, 0x45);
/** Creates, moves, flags or (size 0) deletes a memslot (USER_MEMORY). */
export const KVM_SET_USER_MEMORY_REGION: number = iow(KVMIO, 0x46, KVM_USERSPACE_MEMORY_REGION);
/** Places three pages that Intel hosts need for real mode (SET_TSS_ADDR). */
export const KVM_SET_TSS_ADDR: number = io(KVMIO, 0x47);
/** Places one page of identity map that Intel hosts need (SET_IDENTITY_MAP_ADDR). */
export const KVM_SET_IDENTITY_MAP_ADDR: number = iow(KVMIO, 0x48, U64);
/** As `KVM_SET_USER_MEMORY_REGION`, with a guest_memfd (USER_MEMORY2). */
export const KVM_SET_USER_MEMORY_REGION2: number = iow(KVMIO, 0x49, KVM_USERSPACE_MEMORY_REGION2);
/** Clears dirty bits that the VMM has seen (MANUAL_DIRTY_LOG_PROTECT2). */
export const KVM_CLEAR_DIRTY_LOG: number = iowr(KVMIO, 0xc0, KVM_CLEAR_DIRTY_LOG_STRUCT);
/** Recycles the harvested entries of all dirty rings (DIRTY_LOG_RING). */
export const KVM_RESET_DIRTY_RINGS: number = io(KVMIO, 0xc7);
/** Makes a GPA range private or shared (MEMORY_ATTRIBUTES). */
export const KVM_SET_MEMORY_ATTRIBUTES: number = iow(KVMIO, 0xd2, KVM_MEMORY_ATTRIBUTES);
/** Returns a descriptor of memory that belongs to this guest (GUEST_MEMFD). */
export const KVM_CREATE_GUEST_MEMFD: number = iowr(KVMIO, 0xd4, KVM_CREATE_GUEST_MEMFD_STRUCT);

// A VM: interrupts, timers, devices.

/** Puts two PICs, an I/O APIC and local APICs into the kernel (IRQCHIP). */
export const KVM_CREATE_IRQCHIP: number = io(KVMIO, 0x60);
/** Sets the level of a GSI (IRQCHIP). */
export const KVM_IRQ_LINE: number = iow(KVMIO, 0x61, KVM_IRQ_LEVEL);
/** Reads the chip that `chip_id` names (IRQCHIP). */
export const KVM_GET_IRQCHIP: number = iowr(KVMIO, 0x62, KVM_IRQCHIP_STRUCT);
/** Writes the chip that `chip_id` names (IRQCHIP). */
export const KVM_SET_IRQCHIP: number = ior(KVMIO, 0x63, KVM_IRQCHIP_STRUCT);
/** Creates an 8254 with no configuration (PIT). */
export const KVM_CREATE_PIT: number = io(KVMIO, 0x64);
/** Reads the 8254 (PIT). */
export const KVM_GET_PIT: number = iowr(KVMIO, 0x65, KVM_PIT_STATE);
/** Writes the 8254 (PIT). */
export const KVM_SET_PIT: number = ior(KVMIO, 0x66, KVM_PIT_STATE);
/** As `KVM_IRQ_LINE`, and reports whether it was delivered (IRQ_INJECT_STATUS). */
export const KVM_IRQ_LINE_STATUS: number = iowr(KVMIO, 0x67, KVM_IRQ_LEVEL);
/** Batches writes to a range instead of exiting (COALESCED_MMIO, COALESCED_PIO). */
export const KVM_REGISTER_COALESCED_MMIO: number = iow(KVMIO, 0x67, KVM_COALESCED_MMIO_ZONE);
/** Undoes `KVM_REGISTER_COALESCED_MMIO`. */
export const KVM_UNREGISTER_COALESCED_MMIO: number = iow(KVMIO, 0x68, KVM_COALESCED_MMIO_ZONE);
/** Replaces the GSI routing table (IRQ_ROUTING). */
export const KVM_SET_GSI_ROUTING: number = iow(KVMIO, 0x6a, KVM_IRQ_ROUTING);
/** Chooses whether missed PIT ticks are reinjected (REINJECT_CONTROL). */
export const KVM_REINJECT_CONTROL: number = io(KVMIO, 0x71);
/** Ties an eventfd to a GSI (IRQFD). */
export const KVM_IRQFD: number = iow(KVMIO, 0x76, KVM_IRQFD_STRUCT);
/** Creates an 8254 (PIT2). */
export const KVM_CREATE_PIT2: number = iow(KVMIO, 0x77, KVM_PIT_CONFIG);
/** Says which vCPU id is the boot processor, before any vCPU exists (SET_BOOT_CPU_ID). */
export const KVM_SET_BOOT_CPU_ID: number = io(KVMIO, 0x78);
/** Ties a port or GPA to an eventfd (IOEVENTFD). */
export const KVM_IOEVENTFD: number = iow(KVMIO, 0x79, KVM_IOEVENTFD_STRUCT);
/** Sets up Xen's hypercall page (XEN_HVM): `struct kvm_xen_hvm_config`. */
export const KVM_XEN_HVM_CONFIG: number = iow(KVMIO, 0x7a, 56);
/** Sets the VM's clock (ADJUST_CLOCK). */
export const KVM_SET_CLOCK: number = iow(KVMIO, 0x7b, KVM_CLOCK_DATA);
/** Reads the VM's clock (ADJUST_CLOCK). */
export const KVM_GET_CLOCK: number = ior(KVMIO, 0x7c, KVM_CLOCK_DATA);
/** Reads the 8254 with its flags (PIT_STATE2). */
export const KVM_GET_PIT2: number = ior(KVMIO, 0x9f, KVM_PIT_STATE2);
/** Writes the 8254 with its flags (PIT_STATE2). */
export const KVM_SET_PIT2: number = iow(KVMIO, 0xa0, KVM_PIT_STATE2);
/** Sets the TSC frequency in kHz (TSC_CONTROL on a vCPU, VM_TSC_CONTROL on a VM). */
export const KVM_SET_TSC_KHZ: number = io(KVMIO, 0xa2);
/** Returns the TSC frequency in kHz (GET_TSC_KHZ). */
export const KVM_GET_TSC_KHZ: number = io(KVMIO, 0xa3);
/** Delivers a message-signalled interrupt (SIGNAL_MSI). */
export const KVM_SIGNAL_MSI: number = iow(KVMIO, 0xa5, KVM_MSI);
/** Limits the PMU events a guest may count (PMU_EVENT_FILTER): `struct kvm_pmu_event_filter`. */
export const KVM_SET_PMU_EVENT_FILTER: number = iow(KVMIO, 0xb2, 32);
/** Creates an in-kernel device (DEVICE_CTRL): `struct kvm_create_device`. */
export const KVM_CREATE_DEVICE: number = iowr(KVMIO, 0xe0, 12);
/** Runs a SEV or TDX command (an `unsigned long` stands for its struct). */
export const KVM_MEMORY_ENCRYPT_OP: number = iowr(KVMIO, 0xba, U64);
/** Pins memory that will be encrypted: `struct kvm_enc_region`. */
export const KVM_MEMORY_ENCRYPT_REG_REGION: number = ior(KVMIO, 0xbb, 16);
/** Undoes `KVM_MEMORY_ENCRYPT_REG_REGION`. */
export const KVM_MEMORY_ENCRYPT_UNREG_REGION: number = ior(KVMIO, 0xbc, 16);
/** Ties an eventfd to a Hyper-V connection (HYPERV_EVENTFD): `struct kvm_hyperv_eventfd`. */
export const KVM_HYPERV_EVENTFD: number = iow(KVMIO, 0xbd, 24);
/** Chooses which MSR accesses exit or fault (X86_MSR_FILTER). */
export const KVM_X86_SET_MSR_FILTER: number = iow(KVMIO, 0xc6, KVM_MSR_FILTER);
/** Reads a Xen attribute of the VM (XEN_HVM): `struct kvm_xen_hvm_attr`. */
export const KVM_XEN_HVM_GET_ATTR: number = iowr(KVMIO, 0xc8, 72);
/** Writes a Xen attribute of the VM (XEN_HVM): `struct kvm_xen_hvm_attr`. */
export const KVM_XEN_HVM_SET_ATTR: number = iow(KVMIO, 0xc9, 72);
/** Sends a Xen event (XEN_HVM): `struct kvm_irq_routing_xen_evtchn`. */
export const KVM_XEN_HVM_EVTCHN_SEND: number = iow(KVMIO, 0xd0, 12);

// The system, a VM, a vCPU or a device: attributes and statistics.

/** Writes an attribute (DEVICE_CTRL): `struct kvm_device_attr`. */
export const KVM_SET_DEVICE_ATTR: number = iow(KVMIO, 0xe1, 24);
/** Reads an attribute (DEVICE_CTRL): `struct kvm_device_attr`. */
export const KVM_GET_DEVICE_ATTR: number = iow(KVMIO, 0xe2, 24);
/** Tells whether an attribute exists (DEVICE_CTRL): `struct kvm_device_attr`. */
export const KVM_HAS_DEVICE_ATTR: number = iow(KVMIO, 0xe3, 24);
/** Turns a capability on (ENABLE_CAP on a vCPU, ENABLE_CAP_VM on a VM). */
export const KVM_ENABLE_CAP: number = iow(KVMIO, 0xa3, KVM_ENABLE_CAP_STRUCT);
/** Returns a descriptor of binary statistics (BINARY_STATS_FD). */
export const KVM_GET_STATS_FD: number = io(KVMIO, 0xce);

// A vCPU.

/** Runs the guest until it exits; the reason is in the mapped `kvm_run`. */
export const KVM_RUN: number = io(KVMIO, 0x80);
/** Reads the general registers. */
export const KVM_GET_REGS: number = ior(KVMIO, 0x81, KVM_REGS);
/** Writes the general registers. */
export const KVM_SET_REGS: number = iow(KVMIO, 0x82, KVM_REGS);
/** Reads segments, tables and control registers. */
export const KVM_GET_SREGS: number = ior(KVMIO, 0x83, KVM_SREGS);
/** Writes segments, tables and control registers. */
export const KVM_SET_SREGS: number = iow(KVMIO, 0x84, KVM_SREGS);
/** Translates a GVA with the vCPU's current paging. */
export const KVM_TRANSLATE: number = iowr(KVMIO, 0x85, KVM_TRANSLATION);
/** Queues a vector, where no APIC is in the kernel. */
export const KVM_INTERRUPT: number = iow(KVMIO, 0x86, KVM_INTERRUPT_STRUCT);
/** Reads the MSRs of a `kvm_msrs`; returns how many. On the system: feature MSRs. */
export const KVM_GET_MSRS: number = iowr(KVMIO, 0x88, KVM_MSRS);
/** Writes the MSRs of a `kvm_msrs`; returns how many. */
export const KVM_SET_MSRS: number = iow(KVMIO, 0x89, KVM_MSRS);
/** The first form of `KVM_SET_CPUID2`, without indices: `struct kvm_cpuid`. */
export const KVM_SET_CPUID: number = iow(KVMIO, 0x8a, 8);
/** Sets the signals that are blocked while the guest runs. */
export const KVM_SET_SIGNAL_MASK: number = iow(KVMIO, 0x8b, KVM_SIGNAL_MASK);
/** Reads x87 and SSE state. */
export const KVM_GET_FPU: number = ior(KVMIO, 0x8c, KVM_FPU);
/** Writes x87 and SSE state. */
export const KVM_SET_FPU: number = iow(KVMIO, 0x8d, KVM_FPU);
/** Reads the local APIC (IRQCHIP). */
export const KVM_GET_LAPIC: number = ior(KVMIO, 0x8e, KVM_LAPIC_STATE);
/** Writes the local APIC (IRQCHIP). */
export const KVM_SET_LAPIC: number = iow(KVMIO, 0x8f, KVM_LAPIC_STATE);
/** Sets the guest's CPUID leaves (EXT_CPUID). */
export const KVM_SET_CPUID2: number = iow(KVMIO, 0x90, KVM_CPUID2);
/** Reads the guest's CPUID leaves (EXT_CPUID). */
export const KVM_GET_CPUID2: number = iowr(KVMIO, 0x91, KVM_CPUID2);
/** Turns exits on TPR accesses on or off (VAPIC): `struct kvm_tpr_access_ctl`. */
export const KVM_TPR_ACCESS_REPORTING: number = iowr(KVMIO, 0x92, 40);
/** Places the virtual APIC page (VAPIC): `struct kvm_vapic_addr`. */
export const KVM_SET_VAPIC_ADDR: number = iow(KVMIO, 0x93, U64);
/** Reads whether the vCPU is runnable, halted or waiting for SIPI (MP_STATE). */
export const KVM_GET_MP_STATE: number = ior(KVMIO, 0x98, KVM_MP_STATE_STRUCT);
/** Sets whether the vCPU is runnable, halted or waiting for SIPI (MP_STATE). */
export const KVM_SET_MP_STATE: number = iow(KVMIO, 0x99, KVM_MP_STATE_STRUCT);
/** Queues an NMI (USER_NMI). */
export const KVM_NMI: number = io(KVMIO, 0x9a);
/** Sets single-stepping and breakpoints (SET_GUEST_DEBUG). */
export const KVM_SET_GUEST_DEBUG: number = iow(KVMIO, 0x9b, KVM_GUEST_DEBUG);
/** Gives the vCPU machine-check banks, in a `u64` (MCE). */
export const KVM_X86_SETUP_MCE: number = iow(KVMIO, 0x9c, U64);
/** Injects a machine check (MCE): `struct kvm_x86_mce`. */
export const KVM_X86_SET_MCE: number = iow(KVMIO, 0x9e, 64);
/** Reads pending and injected exceptions, interrupts, NMI and SMI (VCPU_EVENTS). */
export const KVM_GET_VCPU_EVENTS: number = ior(KVMIO, 0x9f, KVM_VCPU_EVENTS);
/** Writes pending and injected exceptions, interrupts, NMI and SMI (VCPU_EVENTS). */
export const KVM_SET_VCPU_EVENTS: number = iow(KVMIO, 0xa0, KVM_VCPU_EVENTS);
/** Reads the guest's debug registers (DEBUGREGS). */
export const KVM_GET_DEBUGREGS: number = ior(KVMIO, 0xa1, KVM_DEBUGREGS);
/** Writes the guest's debug registers (DEBUGREGS). */
export const KVM_SET_DEBUGREGS: number = iow(KVMIO, 0xa2, KVM_DEBUGREGS);
/** Reads an XSAVE image of 4 KiB (XSAVE). */
export const KVM_GET_XSAVE: number = ior(KVMIO, 0xa4, KVM_XSAVE);
/** Writes an XSAVE image (XSAVE, and XSAVE2 for more than 4 KiB). */
export const KVM_SET_XSAVE: number = iow(KVMIO, 0xa5, KVM_XSAVE);
/** Reads the extended control registers (XCRS). */
export const KVM_GET_XCRS: number = ior(KVMIO, 0xa6, KVM_XCRS);
/** Writes the extended control registers (XCRS). */
export const KVM_SET_XCRS: number = iow(KVMIO, 0xa7, KVM_XCRS);
/** Reads one register by id (ONE_REG). */
export const KVM_GET_ONE_REG: number = iow(KVMIO, 0xab, KVM_ONE_REG);
/** Writes one register by id (ONE_REG). */
export const KVM_SET_ONE_REG: number = iow(KVMIO, 0xac, KVM_ONE_REG);
/** Tells the guest that the VM was paused (KVMCLOCK_CTRL). */
export const KVM_KVMCLOCK_CTRL: number = io(KVMIO, 0xad);
/** Lists register ids (ONE_REG): the header of `struct kvm_reg_list`. */
export const KVM_GET_REG_LIST: number = iowr(KVMIO, 0xb0, 8);
/** Queues an SMI (X86_SMM). */
export const KVM_SMI: number = io(KVMIO, 0xb7);
/** Reads nested-virtualization state (NESTED_STATE): the header of `struct kvm_nested_state`. */
export const KVM_GET_NESTED_STATE: number = iowr(KVMIO, 0xbe, 128);
/** Writes nested-virtualization state (NESTED_STATE). */
export const KVM_SET_NESTED_STATE: number = iow(KVMIO, 0xbf, 128);
/** Reads a Xen attribute of the vCPU (XEN_HVM): `struct kvm_xen_vcpu_attr`. */
export const KVM_XEN_VCPU_GET_ATTR: number = iowr(KVMIO, 0xca, 72);
/** Writes a Xen attribute of the vCPU (XEN_HVM): `struct kvm_xen_vcpu_attr`. */
export const KVM_XEN_VCPU_SET_ATTR: number = iow(KVMIO, 0xcb, 72);
/** As `KVM_GET_SREGS`, with PDPTRs (SREGS2). */
export const KVM_GET_SREGS2: number = ior(KVMIO, 0xcc, KVM_SREGS2);
/** As `KVM_SET_SREGS`, with PDPTRs (SREGS2). */
export const KVM_SET_SREGS2: number = iow(KVMIO, 0xcd, KVM_SREGS2);
/** Reads an XSAVE image of as many bytes as the capability says (XSAVE2). */
export const KVM_GET_XSAVE2: number = ior(KVMIO, 0xcf, KVM_XSAVE);
/** Maps a GPA range before the guest touches it (PRE_FAULT_MEMORY). */
export const KVM_PRE_FAULT_MEMORY: number = iowr(KVMIO, 0xd5, KVM_PRE_FAULT_MEMORY_STRUCT);
