/**
 * Structs of the KVM UAPI that a vCPU descriptor takes, from x86's
 * `<asm/kvm.h>` and `<linux/kvm.h>`: registers, events, CPUID, MSRs, debugging.
 * Naming is as in `kvm_structs.ts`.
 *
 * @module
 */

import { layout, type StructOf } from "./layout.ts";

/** `struct kvm_regs`: the general registers (`KVM_GET_REGS`). */
export const KVM_REGS = layout("kvm_regs", 144, {
  rax: [0, "u64"],
  rbx: [8, "u64"],
  rcx: [16, "u64"],
  rdx: [24, "u64"],
  rsi: [32, "u64"],
  rdi: [40, "u64"],
  rsp: [48, "u64"],
  rbp: [56, "u64"],
  r8: [64, "u64"],
  r9: [72, "u64"],
  r10: [80, "u64"],
  r11: [88, "u64"],
  r12: [96, "u64"],
  r13: [104, "u64"],
  r14: [112, "u64"],
  r15: [120, "u64"],
  rip: [128, "u64"],
  rflags: [136, "u64"],
});

/** A decoded `struct kvm_regs`. */
export type KvmRegs = StructOf<typeof KVM_REGS>;

/** `struct kvm_segment`: a segment register with its hidden part. */
export const KVM_SEGMENT = layout("kvm_segment", 24, {
  base: [0, "u64"],
  limit: [8, "u32"],
  selector: [12, "u16"],
  type: [14, "u8"],
  present: [15, "u8"],
  dpl: [16, "u8"],
  db: [17, "u8"],
  s: [18, "u8"],
  l: [19, "u8"],
  g: [20, "u8"],
  avl: [21, "u8"],
  unusable: [22, "u8"],
  padding: [23, "u8"],
});

/** A decoded `struct kvm_segment`. */
export type KvmSegment = StructOf<typeof KVM_SEGMENT>;

/** `struct kvm_dtable`: GDTR or IDTR. */
export const KVM_DTABLE = layout("kvm_dtable", 16, {
  base: [0, "u64"],
  limit: [8, "u16"],
  padding: [10, "u16", 3],
});

/** A decoded `struct kvm_dtable`. */
export type KvmDtable = StructOf<typeof KVM_DTABLE>;

/** What `struct kvm_sregs` and `struct kvm_sregs2` begin with. */
const SREGS_COMMON = {
  cs: [0, KVM_SEGMENT],
  ds: [24, KVM_SEGMENT],
  es: [48, KVM_SEGMENT],
  fs: [72, KVM_SEGMENT],
  gs: [96, KVM_SEGMENT],
  ss: [120, KVM_SEGMENT],
  tr: [144, KVM_SEGMENT],
  ldt: [168, KVM_SEGMENT],
  gdt: [192, KVM_DTABLE],
  idt: [208, KVM_DTABLE],
  cr0: [224, "u64"],
  cr2: [232, "u64"],
  cr3: [240, "u64"],
  cr4: [248, "u64"],
  cr8: [256, "u64"],
  efer: [264, "u64"],
  apic_base: [272, "u64"],
} as const;

/** `struct kvm_sregs`: segments, tables and control registers (`KVM_GET_SREGS`). */
export const KVM_SREGS = layout("kvm_sregs", 312, {
  ...SREGS_COMMON,
  interrupt_bitmap: [280, "u64", 4],
});

/** A decoded `struct kvm_sregs`. */
export type KvmSregs = StructOf<typeof KVM_SREGS>;

/** `struct kvm_sregs2`: as `kvm_sregs`, with the PDPTRs in place of the pending interrupt. */
export const KVM_SREGS2 = layout("kvm_sregs2", 320, {
  ...SREGS_COMMON,
  flags: [280, "u64"],
  pdptrs: [288, "u64", 4],
});

/** A decoded `struct kvm_sregs2`. */
export type KvmSregs2 = StructOf<typeof KVM_SREGS2>;

/** `struct kvm_fpu`: x87 and SSE state; `fpr` is 8 and `xmm` 16 registers of 16 bytes. */
export const KVM_FPU = layout("kvm_fpu", 416, {
  fpr: [0, "u8", 128],
  fcw: [128, "u16"],
  fsw: [130, "u16"],
  ftwx: [132, "u8"],
  pad1: [133, "u8"],
  last_opcode: [134, "u16"],
  last_ip: [136, "u64"],
  last_dp: [144, "u64"],
  xmm: [152, "u8", 256],
  mxcsr: [408, "u32"],
  pad2: [412, "u32"],
});

/** A decoded `struct kvm_fpu`. */
export type KvmFpu = StructOf<typeof KVM_FPU>;

/**
 * `struct kvm_xsave`: an XSAVE image (`KVM_GET_XSAVE`). `KVM_GET_XSAVE2`
 * fills as many bytes as `KVM_CAP_XSAVE2` says.
 */
export const KVM_XSAVE = layout("kvm_xsave", 4096, {
  region: [0, "u32", 1024],
});

/** `struct kvm_xcr`: one extended control register. */
export const KVM_XCR = layout("kvm_xcr", 16, {
  xcr: [0, "u32"],
  reserved: [4, "u32"],
  value: [8, "u64"],
});

/** `struct kvm_xcrs`: the first `nr_xcrs` entries are valid (`KVM_GET_XCRS`). */
export const KVM_XCRS = layout("kvm_xcrs", 392, {
  nr_xcrs: [0, "u32"],
  flags: [4, "u32"],
  xcrs: [8, KVM_XCR, 16],
  padding: [264, "u64", 16],
});

/** `struct kvm_msr_entry`: an MSR and its value. */
export const KVM_MSR_ENTRY = layout("kvm_msr_entry", 16, {
  index: [0, "u32"],
  reserved: [4, "u32"],
  data: [8, "u64"],
});

/** A decoded `struct kvm_msr_entry`. */
export type KvmMsrEntry = StructOf<typeof KVM_MSR_ENTRY>;

/** `struct kvm_msrs`: header of a list of {@linkcode KVM_MSR_ENTRY} (`KVM_GET_MSRS`). */
export const KVM_MSRS = layout("kvm_msrs", 8, {
  nmsrs: [0, "u32"],
  pad: [4, "u32"],
});

/** `struct kvm_cpuid_entry2`: one CPUID leaf, or subleaf where `flags` bit 0 says so. */
export const KVM_CPUID_ENTRY2 = layout("kvm_cpuid_entry2", 40, {
  function: [0, "u32"],
  index: [4, "u32"],
  flags: [8, "u32"],
  eax: [12, "u32"],
  ebx: [16, "u32"],
  ecx: [20, "u32"],
  edx: [24, "u32"],
  padding: [28, "u32", 3],
});

/** A decoded `struct kvm_cpuid_entry2`. */
export type KvmCpuidEntry2 = StructOf<typeof KVM_CPUID_ENTRY2>;

/** `struct kvm_cpuid2`: header of a list of {@linkcode KVM_CPUID_ENTRY2}. */
export const KVM_CPUID2 = layout("kvm_cpuid2", 8, {
  nent: [0, "u32"],
  padding: [4, "u32"],
});

/** `struct kvm_lapic_state`: the local APIC's register page, first KiB (`KVM_GET_LAPIC`). */
export const KVM_LAPIC_STATE = layout("kvm_lapic_state", 1024, {
  regs: [0, "u8", 1024],
});

/** `struct kvm_mp_state`: a value of the `KVM_MP_STATE` table. */
export const KVM_MP_STATE_STRUCT = layout("kvm_mp_state", 4, {
  mp_state: [0, "u32"],
});

/** `exception` of `struct kvm_vcpu_events`. */
export const KVM_VCPU_EVENTS_EXCEPTION = layout("kvm_vcpu_events.exception", 8, {
  injected: [0, "u8"],
  nr: [1, "u8"],
  has_error_code: [2, "u8"],
  pending: [3, "u8"],
  error_code: [4, "u32"],
});

/** `interrupt` of `struct kvm_vcpu_events`. */
export const KVM_VCPU_EVENTS_INTERRUPT = layout("kvm_vcpu_events.interrupt", 4, {
  injected: [0, "u8"],
  nr: [1, "u8"],
  soft: [2, "u8"],
  shadow: [3, "u8"],
});

/** `nmi` of `struct kvm_vcpu_events`. */
export const KVM_VCPU_EVENTS_NMI = layout("kvm_vcpu_events.nmi", 4, {
  injected: [0, "u8"],
  pending: [1, "u8"],
  masked: [2, "u8"],
  pad: [3, "u8"],
});

/** `smi` of `struct kvm_vcpu_events`. */
export const KVM_VCPU_EVENTS_SMI = layout("kvm_vcpu_events.smi", 4, {
  smm: [0, "u8"],
  pending: [1, "u8"],
  smm_inside_nmi: [2, "u8"],
  latched_init: [3, "u8"],
});

/** `triple_fault` of `struct kvm_vcpu_events`. */
export const KVM_VCPU_EVENTS_TRIPLE_FAULT = layout("kvm_vcpu_events.triple_fault", 1, {
  pending: [0, "u8"],
});

/** `struct kvm_vcpu_events`: pending and injected exceptions, interrupts, NMI and SMI. */
export const KVM_VCPU_EVENTS = layout("kvm_vcpu_events", 64, {
  exception: [0, KVM_VCPU_EVENTS_EXCEPTION],
  interrupt: [8, KVM_VCPU_EVENTS_INTERRUPT],
  nmi: [12, KVM_VCPU_EVENTS_NMI],
  sipi_vector: [16, "u32"],
  flags: [20, "u32"],
  smi: [24, KVM_VCPU_EVENTS_SMI],
  triple_fault: [28, KVM_VCPU_EVENTS_TRIPLE_FAULT],
  reserved: [29, "u8", 26],
  exception_has_payload: [55, "u8"],
  exception_payload: [56, "u64"],
});

/** A decoded `struct kvm_vcpu_events`. */
export type KvmVcpuEvents = StructOf<typeof KVM_VCPU_EVENTS>;

/** `struct kvm_debugregs`: DR0 to DR3, DR6 and DR7 (`KVM_GET_DEBUGREGS`). */
export const KVM_DEBUGREGS = layout("kvm_debugregs", 128, {
  db: [0, "u64", 4],
  dr6: [32, "u64"],
  dr7: [40, "u64"],
  flags: [48, "u64"],
  reserved: [56, "u64", 9],
});

/** A decoded `struct kvm_debugregs`. */
export type KvmDebugregs = StructOf<typeof KVM_DEBUGREGS>;

/** `struct kvm_guest_debug_arch`: DR0 to DR7 that hardware breakpoints use. */
export const KVM_GUEST_DEBUG_ARCH = layout("kvm_guest_debug_arch", 64, {
  debugreg: [0, "u64", 8],
});

/** `struct kvm_guest_debug`: `KVM_GUESTDBG` bits and the debug registers. */
export const KVM_GUEST_DEBUG = layout("kvm_guest_debug", 72, {
  control: [0, "u32"],
  pad: [4, "u32"],
  arch: [8, KVM_GUEST_DEBUG_ARCH],
});

/** `struct kvm_debug_exit_arch`: what a debug exit reports. */
export const KVM_DEBUG_EXIT_ARCH = layout("kvm_debug_exit_arch", 32, {
  exception: [0, "u32"],
  pad: [4, "u32"],
  pc: [8, "u64"],
  dr6: [16, "u64"],
  dr7: [24, "u64"],
});

/** `struct kvm_translation`: a GVA in, its GPA and rights out (`KVM_TRANSLATE`). */
export const KVM_TRANSLATION = layout("kvm_translation", 24, {
  linear_address: [0, "u64"],
  physical_address: [8, "u64"],
  valid: [16, "u8"],
  writeable: [17, "u8"],
  usermode: [18, "u8"],
  pad: [19, "u8", 5],
});

/** A decoded `struct kvm_translation`. */
export type KvmTranslation = StructOf<typeof KVM_TRANSLATION>;

/** `struct kvm_interrupt`: the vector that `KVM_INTERRUPT` injects. */
export const KVM_INTERRUPT_STRUCT = layout("kvm_interrupt", 4, {
  irq: [0, "u32"],
});

/** `struct kvm_signal_mask`: header of a kernel sigset of `len` bytes (8 on x86-64). */
export const KVM_SIGNAL_MASK = layout("kvm_signal_mask", 4, {
  len: [0, "u32"],
});

/** `struct kvm_one_reg`: a register's id and the HVA of its value. */
export const KVM_ONE_REG = layout("kvm_one_reg", 16, {
  id: [0, "u64"],
  addr: [8, "u64"],
});

/** `struct kvm_sync_regs`: the register classes that `kvm_run` shares. */
export const KVM_SYNC_REGS = layout("kvm_sync_regs", 520, {
  regs: [0, KVM_REGS],
  sregs: [144, KVM_SREGS],
  events: [456, KVM_VCPU_EVENTS],
});
