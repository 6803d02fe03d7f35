/**
 * `struct kvm_run`, the page that a vCPU and its VMM share, and the payload of
 * each exit that x86 can produce, from `<linux/kvm.h>`. The payloads are members
 * of one union: their offsets count from {@linkcode KVM_RUN_EXIT_OFFSET}.
 *
 * A payload may be read only where the return of `KVM_RUN` and `exit_reason`
 * together say so.
 *
 * @module
 */

import { layout, type StructOf } from "./layout.ts";
import { KVM_DEBUG_EXIT_ARCH, KVM_SYNC_REGS } from "./vcpu_structs.ts";

/** The union `s` of `struct kvm_run`: x86 has one member. */
export const KVM_RUN_S = layout("kvm_run.s", 2048, {
  regs: [0, KVM_SYNC_REGS],
});

/** `struct kvm_run` without the union of exit payloads. */
export const KVM_RUN_STRUCT = layout("kvm_run", 2352, {
  request_interrupt_window: [0, "u8"],
  immediate_exit: [1, "u8"],
  exit_reason: [8, "u32"],
  ready_for_interrupt_injection: [12, "u8"],
  if_flag: [13, "u8"],
  flags: [14, "u16"],
  cr8: [16, "u64"],
  apic_base: [24, "u64"],
  kvm_valid_regs: [288, "u64"],
  kvm_dirty_regs: [296, "u64"],
  s: [304, KVM_RUN_S],
});

/** Offset in `kvm_run` of the union of exit payloads, in bytes. */
export const KVM_RUN_EXIT_OFFSET = 32;

/** Size of the union of exit payloads, in bytes. */
export const KVM_RUN_EXIT_SIZE = 256;

/** Offset in `kvm_run` of the shared `struct kvm_regs`, in bytes. */
export const KVM_RUN_REGS_OFFSET: number = KVM_RUN_STRUCT.fields.s[0] +
  KVM_SYNC_REGS.fields.regs[0];

/** Offset in `kvm_run` of the shared `struct kvm_sregs`, in bytes. */
export const KVM_RUN_SREGS_OFFSET: number = KVM_RUN_STRUCT.fields.s[0] +
  KVM_SYNC_REGS.fields.sregs[0];

/** Offset in `kvm_run` of the shared `struct kvm_vcpu_events`, in bytes. */
export const KVM_RUN_EVENTS_OFFSET: number = KVM_RUN_STRUCT.fields.s[0] +
  KVM_SYNC_REGS.fields.events[0];

/** Bit of `kvm_valid_regs` and `kvm_dirty_regs`: `struct kvm_regs`. */
export const KVM_SYNC_X86_REGS = 1 << 0;

/** Bit of `kvm_valid_regs` and `kvm_dirty_regs`: `struct kvm_sregs`. */
export const KVM_SYNC_X86_SREGS = 1 << 1;

/** Bit of `kvm_valid_regs` and `kvm_dirty_regs`: `struct kvm_vcpu_events`. */
export const KVM_SYNC_X86_EVENTS = 1 << 2;

/** Bit of `kvm_run.flags`: the vCPU is in system management mode. */
export const KVM_RUN_X86_SMM = 1 << 0;

/** Bit of `kvm_run.flags`: a bus lock was detected on the way to this exit. */
export const KVM_RUN_X86_BUS_LOCK = 1 << 1;

/** Bit of `kvm_run.flags`: the vCPU was running a nested guest. */
export const KVM_RUN_X86_GUEST_MODE = 1 << 2;

/** `hw`, of exit UNKNOWN: the processor's own exit reason. */
export const KVM_RUN_HW = layout("kvm_run.hw", 8, {
  hardware_exit_reason: [0, "u64"],
});

/** `fail_entry`, of exit FAIL_ENTRY: why the processor refused, and on which host CPU. */
export const KVM_RUN_FAIL_ENTRY = layout("kvm_run.fail_entry", 16, {
  hardware_entry_failure_reason: [0, "u64"],
  cpu: [8, "u32"],
});

/** `ex`, of exit EXCEPTION. */
export const KVM_RUN_EX = layout("kvm_run.ex", 8, {
  exception: [0, "u32"],
  error_code: [4, "u32"],
});

/**
 * `io`, of exit IO: `count` items of `size` bytes at `data_offset`, which counts
 * from the start of `kvm_run`. `direction` is of the `KVM_EXIT_IO` table.
 */
export const KVM_RUN_IO = layout("kvm_run.io", 16, {
  direction: [0, "u8"],
  size: [1, "u8"],
  port: [2, "u16"],
  count: [4, "u32"],
  data_offset: [8, "u64"],
});

/** `debug`, of exit DEBUG. */
export const KVM_RUN_DEBUG = layout("kvm_run.debug", 32, {
  arch: [0, KVM_DEBUG_EXIT_ARCH],
});

/** `mmio`, of exit MMIO: `len` bytes of `data` at the GPA `phys_addr`. */
export const KVM_RUN_MMIO = layout("kvm_run.mmio", 24, {
  phys_addr: [0, "u64"],
  data: [8, "u8", 8],
  len: [16, "u32"],
  is_write: [20, "u8"],
});

/**
 * `hypercall`, of exit HYPERCALL: `nr` is of the `KVM_HC` table, `ret` is what
 * the guest gets. `longmode` is the older reading of `flags`.
 */
export const KVM_RUN_HYPERCALL = layout("kvm_run.hypercall", 72, {
  nr: [0, "u64"],
  args: [8, "u64", 6],
  ret: [56, "u64"],
  longmode: [64, "u32"],
  flags: [64, "u64"],
});

/** `tpr_access`, of exit TPR_ACCESS. */
export const KVM_RUN_TPR_ACCESS = layout("kvm_run.tpr_access", 16, {
  rip: [0, "u64"],
  is_write: [8, "u32"],
  pad: [12, "u32"],
});

/** `internal`, of exit INTERNAL_ERROR: the first `ndata` of `data` are valid. */
export const KVM_RUN_INTERNAL = layout("kvm_run.internal", 136, {
  suberror: [0, "u32"],
  ndata: [4, "u32"],
  data: [8, "u64", 16],
});

/**
 * `emulation_failure`, of exit INTERNAL_ERROR with suberror EMULATION. Flags and
 * instruction overlay `internal.data`: valid as far as `ndata` reaches.
 */
export const KVM_RUN_EMULATION_FAILURE = layout("kvm_run.emulation_failure", 32, {
  suberror: [0, "u32"],
  ndata: [4, "u32"],
  flags: [8, "u64"],
  insn_size: [16, "u8"],
  insn_bytes: [17, "u8", 15],
});

/**
 * `system_event`, of exit SYSTEM_EVENT: `type` is of the `KVM_SYSTEM_EVENT`
 * table. `flags` is the older reading of `data[0]`.
 */
export const KVM_RUN_SYSTEM_EVENT = layout("kvm_run.system_event", 136, {
  type: [0, "u32"],
  ndata: [4, "u32"],
  flags: [8, "u64"],
  data: [8, "u64", 16],
});

/** `eoi`, of exit IOAPIC_EOI. */
export const KVM_RUN_EOI = layout("kvm_run.eoi", 1, {
  vector: [0, "u8"],
});

/** `synic` of `struct kvm_hyperv_exit`: a synthetic interrupt controller's MSR was written. */
export const KVM_HYPERV_EXIT_SYNIC = layout("kvm_hyperv_exit.u.synic", 32, {
  msr: [0, "u32"],
  pad2: [4, "u32"],
  control: [8, "u64"],
  evt_page: [16, "u64"],
  msg_page: [24, "u64"],
});

/** `hcall` of `struct kvm_hyperv_exit`: a Hyper-V hypercall. */
export const KVM_HYPERV_EXIT_HCALL = layout("kvm_hyperv_exit.u.hcall", 32, {
  input: [0, "u64"],
  result: [8, "u64"],
  params: [16, "u64", 2],
});

/** `syndbg` of `struct kvm_hyperv_exit`: a synthetic debugger's MSR was written. */
export const KVM_HYPERV_EXIT_SYNDBG = layout("kvm_hyperv_exit.u.syndbg", 48, {
  msr: [0, "u32"],
  pad2: [4, "u32"],
  control: [8, "u64"],
  status: [16, "u64"],
  send_page: [24, "u64"],
  recv_page: [32, "u64"],
  pending_page: [40, "u64"],
});

/** The union `u` of `struct kvm_hyperv_exit`. */
export const KVM_HYPERV_EXIT_U = layout("kvm_hyperv_exit.u", 48, {
  synic: [0, KVM_HYPERV_EXIT_SYNIC],
  hcall: [0, KVM_HYPERV_EXIT_HCALL],
  syndbg: [0, KVM_HYPERV_EXIT_SYNDBG],
});

/** `struct kvm_hyperv_exit`, of exit HYPERV: `type` is of the `KVM_EXIT_HYPERV` table. */
export const KVM_RUN_HYPERV = layout("kvm_hyperv_exit", 56, {
  type: [0, "u32"],
  pad1: [4, "u32"],
  u: [8, KVM_HYPERV_EXIT_U],
});

/**
 * `msr`, of exits X86_RDMSR and X86_WRMSR: `reason` is of the
 * `KVM_MSR_EXIT_REASON` table; a nonzero `error` injects #GP.
 */
export const KVM_RUN_MSR = layout("kvm_run.msr", 24, {
  error: [0, "u8"],
  pad: [1, "u8", 7],
  reason: [8, "u32"],
  index: [12, "u32"],
  data: [16, "u64"],
});

/** `hcall` of `struct kvm_xen_exit`: a Xen hypercall. */
export const KVM_XEN_EXIT_HCALL = layout("kvm_xen_exit.u.hcall", 72, {
  longmode: [0, "u32"],
  cpl: [4, "u32"],
  input: [8, "u64"],
  result: [16, "u64"],
  params: [24, "u64", 6],
});

/** The union `u` of `struct kvm_xen_exit`. */
export const KVM_XEN_EXIT_U = layout("kvm_xen_exit.u", 72, {
  hcall: [0, KVM_XEN_EXIT_HCALL],
});

/** `struct kvm_xen_exit`, of exit XEN: `type` is `KVM_EXIT_XEN_HCALL`. */
export const KVM_RUN_XEN = layout("kvm_xen_exit", 80, {
  type: [0, "u32"],
  u: [8, KVM_XEN_EXIT_U],
});

/** `notify`, of exit NOTIFY: the guest kept events out for too long. */
export const KVM_RUN_NOTIFY = layout("kvm_run.notify", 4, {
  flags: [0, "u32"],
});

/** `memory_fault`, of exit MEMORY_FAULT: the GPA range that KVM could not map. */
export const KVM_RUN_MEMORY_FAULT = layout("kvm_run.memory_fault", 24, {
  flags: [0, "u64"],
  gpa: [8, "u64"],
  size: [16, "u64"],
});

/** `unknown` of the `tdx` payload: a TDVMCALL without a member of the union. */
export const KVM_RUN_TDX_UNKNOWN = layout("kvm_run.tdx.unknown", 48, {
  ret: [0, "u64"],
  data: [8, "u64", 5],
});

/** `get_quote` of the `tdx` payload. */
export const KVM_RUN_TDX_GET_QUOTE = layout("kvm_run.tdx.get_quote", 24, {
  ret: [0, "u64"],
  gpa: [8, "u64"],
  size: [16, "u64"],
});

/** `get_tdvmcall_info` of the `tdx` payload. */
export const KVM_RUN_TDX_GET_TDVMCALL_INFO = layout("kvm_run.tdx.get_tdvmcall_info", 48, {
  ret: [0, "u64"],
  leaf: [8, "u64"],
  r11: [16, "u64"],
  r12: [24, "u64"],
  r13: [32, "u64"],
  r14: [40, "u64"],
});

/** `setup_event_notify` of the `tdx` payload. */
export const KVM_RUN_TDX_SETUP_EVENT_NOTIFY = layout("kvm_run.tdx.setup_event_notify", 16, {
  ret: [0, "u64"],
  vector: [8, "u64"],
});

/** `tdx`, of exit TDX: `nr` is the TDVMCALL leaf and says which member is meant. */
export const KVM_RUN_TDX = layout("kvm_run.tdx", 64, {
  flags: [0, "u64"],
  nr: [8, "u64"],
  unknown: [16, KVM_RUN_TDX_UNKNOWN],
  get_quote: [16, KVM_RUN_TDX_GET_QUOTE],
  get_tdvmcall_info: [16, KVM_RUN_TDX_GET_TDVMCALL_INFO],
  setup_event_notify: [16, KVM_RUN_TDX_SETUP_EVENT_NOTIFY],
});

/** `struct kvm_exit_snp_req_certs`, of exit SNP_REQ_CERTS. */
export const KVM_RUN_SNP_REQ_CERTS = layout("kvm_exit_snp_req_certs", 24, {
  gpa: [0, "u64"],
  npages: [8, "u64"],
  ret: [16, "u64"],
});

/** A decoded `struct kvm_run` without the exit payload. */
export type KvmRun = StructOf<typeof KVM_RUN_STRUCT>;
