/**
 * The constants of the KVM UAPI, from `<linux/kvm.h>`, x86's `<asm/kvm.h>` and
 * `<linux/kvm_para.h>`. A table's keys are the C names without the table's own
 * name as prefix, unless it says otherwise: `KVM_EXIT.IO` is `KVM_EXIT_IO`.
 *
 * Bits of a 64-bit struct field are `bigint`, as the field is; all else is
 * `number`.
 *
 * @module
 */

/** What `KVM_GET_API_VERSION` returns. */
export const KVM_API_VERSION = 12;

/** Page of a vCPU mapping that holds port I/O data. */
export const KVM_PIO_PAGE_OFFSET = 1;
/** Page of a vCPU mapping that holds the ring of coalesced accesses. */
export const KVM_COALESCED_MMIO_PAGE_OFFSET = 2;
/** Page of a vCPU mapping where its dirty ring begins. */
export const KVM_DIRTY_LOG_PAGE_OFFSET = 64;

/** `exit_reason` of `kvm_run`: every architecture's, as of Linux 7.2. */
export const KVM_EXIT = {
  UNKNOWN: 0,
  EXCEPTION: 1,
  IO: 2,
  HYPERCALL: 3,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  TPR_ACCESS: 12,
  S390_SIEIC: 13,
  S390_RESET: 14,
  DCR: 15,
  NMI: 16,
  INTERNAL_ERROR: 17,
  OSI: 18,
  PAPR_HCALL: 19,
  S390_UCONTROL: 20,
  WATCHDOG: 21,
  S390_TSCH: 22,
  EPR: 23,
  SYSTEM_EVENT: 24,
  S390_STSI: 25,
  IOAPIC_EOI: 26,
  HYPERV: 27,
  ARM_NISV: 28,
  X86_RDMSR: 29,
  X86_WRMSR: 30,
  DIRTY_RING_FULL: 31,
  AP_RESET_HOLD: 32,
  X86_BUS_LOCK: 33,
  XEN: 34,
  RISCV_SBI: 35,
  RISCV_CSR: 36,
  NOTIFY: 37,
  LOONGARCH_IOCSR: 38,
  MEMORY_FAULT: 39,
  TDX: 40,
  ARM_SEA: 41,
  ARM_LDST64B: 42,
  SNP_REQ_CERTS: 43,
} as const;

/** A name of the {@linkcode KVM_EXIT} table. */
export type KvmExitName = keyof typeof KVM_EXIT;

/** `io.direction`. */
export const KVM_EXIT_IO = { IN: 0, OUT: 1 } as const;

/** `kvm_hyperv_exit.type`. */
export const KVM_EXIT_HYPERV = { SYNIC: 1, HCALL: 2, SYNDBG: 3 } as const;

/** `kvm_xen_exit.type`: its one value. */
export const KVM_EXIT_XEN_HCALL = 1;

/** Bit of `hypercall.flags`: the guest was in long mode. */
export const KVM_EXIT_HYPERCALL_LONG_MODE = 1n;

/** `internal.suberror`. */
export const KVM_INTERNAL_ERROR = {
  EMULATION: 1,
  SIMUL_EX: 2,
  DELIVERY_EV: 3,
  UNEXPECTED_EXIT_REASON: 4,
} as const;

/** Bit of `emulation_failure.flags`: `insn_size` and `insn_bytes` are valid. */
export const KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1n;

/** `system_event.type`. */
export const KVM_SYSTEM_EVENT = {
  SHUTDOWN: 1,
  RESET: 2,
  CRASH: 3,
  WAKEUP: 4,
  SUSPEND: 5,
  SEV_TERM: 6,
  TDX_FATAL: 7,
} as const;

/** Bits of `msr.reason`, and of the argument that enables `KVM_CAP.X86_USER_SPACE_MSR`. */
export const KVM_MSR_EXIT_REASON = { INVAL: 1, UNKNOWN: 2, FILTER: 4 } as const;

/** Bit of `notify.flags`: the vCPU's state is broken and the VM must be ended. */
export const KVM_NOTIFY_CONTEXT_INVALID = 1;

/** Bit of `memory_fault.flags`: the access was to private memory. */
export const KVM_MEMORY_EXIT_FLAG_PRIVATE = 8n;

/** Bit of `kvm_memory_attributes.attributes`: the range is private. */
export const KVM_MEMORY_ATTRIBUTE_PRIVATE = 8n;

/** Bits of a memslot's `flags`. */
export const KVM_MEM = { LOG_DIRTY_PAGES: 1, READONLY: 2, GUEST_MEMFD: 4 } as const;

/** Bits of `kvm_create_guest_memfd.flags`. */
export const GUEST_MEMFD_FLAG = { MMAP: 1n, INIT_SHARED: 2n } as const;

/** `kvm_mp_state.mp_state`. */
export const KVM_MP_STATE = {
  RUNNABLE: 0,
  UNINITIALIZED: 1,
  INIT_RECEIVED: 2,
  HALTED: 3,
  SIPI_RECEIVED: 4,
  STOPPED: 5,
  CHECK_STOP: 6,
  OPERATING: 7,
  LOAD: 8,
  AP_RESET_HOLD: 9,
  SUSPENDED: 10,
} as const;

/** Bits of `kvm_guest_debug.control`. */
export const KVM_GUESTDBG = {
  ENABLE: 0x1,
  SINGLESTEP: 0x2,
  USE_SW_BP: 0x10000,
  USE_HW_BP: 0x20000,
  INJECT_DB: 0x40000,
  INJECT_BP: 0x80000,
  BLOCKIRQ: 0x100000,
} as const;

/**
 * Exception vectors, as `debug.arch.exception` and `ex.exception` hold them; the
 * C names end in `_VECTOR`.
 */
export const X86_VECTOR = {
  DE: 0,
  DB: 1,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
  VE: 20,
  CP: 21,
  HV: 28,
  VC: 29,
  SX: 30,
} as const;

/** Bits of `kvm_vcpu_events.flags`: which optional fields `KVM_SET_VCPU_EVENTS` takes. */
export const KVM_VCPUEVENT_VALID = {
  NMI_PENDING: 0x1,
  SIPI_VECTOR: 0x2,
  SHADOW: 0x4,
  SMM: 0x8,
  PAYLOAD: 0x10,
  TRIPLE_FAULT: 0x20,
} as const;

/** Bits of `kvm_vcpu_events.interrupt.shadow`. */
export const KVM_X86_SHADOW_INT = { MOV_SS: 1, STI: 2 } as const;

/** Bit of `kvm_sregs2.flags`: `pdptrs` is valid. */
export const KVM_SREGS2_FLAGS_PDPTRS_VALID = 1n;

/** The argument of `KVM_CREATE_VM`; the C names are `KVM_X86_DEFAULT_VM` and so on. */
export const KVM_X86_VM_TYPE = {
  DEFAULT: 0,
  SW_PROTECTED: 1,
  SEV: 2,
  SEV_ES: 3,
  SNP: 4,
  TDX: 5,
} as const;

/** `kvm_irqchip.chip_id`. */
export const KVM_IRQCHIP = { PIC_MASTER: 0, PIC_SLAVE: 1, IOAPIC: 2 } as const;

/** `kvm_irq_routing_entry.type`; the C names begin with `KVM_IRQ_ROUTING_`. */
export const KVM_IRQ_ROUTING_TYPE = {
  IRQCHIP: 1,
  MSI: 2,
  S390_ADAPTER: 3,
  HV_SINT: 4,
  XEN_EVTCHN: 5,
} as const;

/** Bits of `kvm_irqfd.flags`. */
export const KVM_IRQFD_FLAG = { DEASSIGN: 1, RESAMPLE: 2 } as const;

/** Bits of `kvm_ioeventfd.flags`. */
export const KVM_IOEVENTFD_FLAG = {
  DATAMATCH: 1,
  PIO: 2,
  DEASSIGN: 4,
  VIRTIO_CCW_NOTIFY: 8,
} as const;

/** Bit of `kvm_msi.flags`: `devid` is valid. */
export const KVM_MSI_VALID_DEVID = 1;

/** Bit of `kvm_pit_config.flags`: port 0x61 is answered in the kernel. */
export const KVM_PIT_SPEAKER_DUMMY = 1;

/** Bits of `kvm_clock_data.flags`. */
export const KVM_CLOCK = { TSC_STABLE: 2, REALTIME: 4, HOST_TSC: 8 } as const;

/** Bits of `kvm_cpuid_entry2.flags` (the first one's spelling is the header's). */
export const KVM_CPUID_FLAG = {
  SIGNIFCANT_INDEX: 1,
  STATEFUL_FUNC: 2,
  STATE_READ_NEXT: 4,
} as const;

/** Bit of `kvm_msr_filter_range.flags`: the range rules over reads. */
export const KVM_MSR_FILTER_READ = 1;
/** Bit of `kvm_msr_filter_range.flags`: the range rules over writes. */
export const KVM_MSR_FILTER_WRITE = 2;
/** Bit of `kvm_msr_filter.flags`: what no range covers is denied. */
export const KVM_MSR_FILTER_DEFAULT_DENY = 1;

/** Argument bits of `KVM_CAP.X86_DISABLE_EXITS`. */
export const KVM_X86_DISABLE_EXITS = {
  MWAIT: 1,
  HLT: 2,
  PAUSE: 4,
  CSTATE: 8,
  APERFMPERF: 16,
} as const;

/** Argument bits of `KVM_CAP.X86_NOTIFY_VMEXIT`. */
export const KVM_X86_NOTIFY_VMEXIT = { ENABLED: 1, USER: 2 } as const;

/** Argument bits of `KVM_CAP.X86_BUS_LOCK_EXIT`. */
export const KVM_BUS_LOCK_DETECTION = { OFF: 1, EXIT: 2 } as const;

/** Argument bits of `KVM_CAP.DISABLE_QUIRKS2`. */
export const KVM_X86_QUIRK = {
  LINT0_REENABLED: 0x1,
  CD_NW_CLEARED: 0x2,
  LAPIC_MMIO_HOLE: 0x4,
  OUT_7E_INC_RIP: 0x8,
  MISC_ENABLE_NO_MWAIT: 0x10,
  FIX_HYPERCALL_INSN: 0x20,
  MWAIT_NEVER_UD_FAULTS: 0x40,
  SLOT_ZAP_ALL: 0x80,
  STUFF_FEATURE_MSRS: 0x100,
  IGNORE_GUEST_PAT: 0x200,
  VMCS12_ALLOW_FREEZE_IN_SMM: 0x400,
  NESTED_SVM_SHARED_PAT: 0x800,
} as const;

/** Hypercall numbers, `hypercall.nr`. */
export const KVM_HC = {
  VAPIC_POLL_IRQ: 1,
  MMU_OP: 2,
  FEATURES: 3,
  PPC_MAP_MAGIC_PAGE: 4,
  KICK_CPU: 5,
  MIPS_GET_CLOCK_FREQ: 6,
  MIPS_EXIT_VM: 7,
  MIPS_CONSOLE_OUTPUT: 8,
  CLOCK_PAIRING: 9,
  SEND_IPI: 10,
  SCHED_YIELD: 11,
  MAP_GPA_RANGE: 12,
} as const;

/**
 * The third argument of hypercall MAP_GPA_RANGE: the page size in bits 0 to 3,
 * and whether the range becomes private (encrypted).
 */
export const KVM_MAP_GPA_RANGE = {
  PAGE_SZ_4K: 0n,
  PAGE_SZ_2M: 1n,
  PAGE_SZ_1G: 2n,
  ENCRYPTED: 0x10n,
  DECRYPTED: 0n,
} as const;
