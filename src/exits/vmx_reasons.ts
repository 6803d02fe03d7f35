/**
 * Names of the processor's own exit and entry-failure codes, which KVM hands
 * through unread: `fail_entry.hardware_entry_failure_reason`,
 * `hw.hardware_exit_reason` and the data of internal error suberror 4.
 *
 * Sources: SDM volume 3D appendix C (VMX basic exit reasons), volume 3C "Basic
 * VM-Exit Information" (flags of the exit reason field) and "VM Instruction Error
 * Numbers"; AMD APM volume 2 appendix C (SVM exit codes). Names are those of the
 * UAPI headers `asm/vmx.h` and `asm/svm.h` where these have one.
 *
 * @module
 */

import { vectorName } from "./vector_names.ts";

/** VMX basic exit reasons: consecutive ones from the first number, `-` being unused. */
const VMX_RUNS: Readonly<Record<number, string>> = {
  0: "EXCEPTION_NMI EXTERNAL_INTERRUPT TRIPLE_FAULT INIT_SIGNAL SIPI_SIGNAL IO_SMI OTHER_SMI",
  7: "INTERRUPT_WINDOW NMI_WINDOW TASK_SWITCH CPUID GETSEC HLT INVD INVLPG RDPMC RDTSC RSM",
  18: "VMCALL VMCLEAR VMLAUNCH VMPTRLD VMPTRST VMREAD VMRESUME VMWRITE VMXOFF VMXON",
  28: "CR_ACCESS DR_ACCESS IO_INSTRUCTION MSR_READ MSR_WRITE INVALID_STATE MSR_LOAD_FAIL",
  36: "MWAIT_INSTRUCTION MONITOR_TRAP_FLAG",
  39: "MONITOR_INSTRUCTION PAUSE_INSTRUCTION MCE_DURING_VMENTRY",
  43: "TPR_BELOW_THRESHOLD APIC_ACCESS EOI_INDUCED GDTR_IDTR LDTR_TR EPT_VIOLATION EPT_MISCONFIG",
  50: "INVEPT RDTSCP PREEMPTION_TIMER INVVPID WBINVD XSETBV APIC_WRITE RDRAND INVPCID VMFUNC",
  60: "ENCLS RDSEED PML_FULL XSAVES XRSTORS PCONFIG SPP_EVENT UMWAIT TPAUSE LOADIWKEY ENCLV",
  72: "ENQCMD_PASID_FAILURE ENQCMDS_PASID_FAILURE BUS_LOCK NOTIFY SEAMCALL TDCALL",
  78: "RDMSRLIST WRMSRLIST URDMSR UWRMSR",
  84: "MSR_READ_IMM MSR_WRITE_IMM",
};

/** SVM exit codes in the same form; the ranges that are computed are in {@linkcode svmName}. */
const SVM_RUNS: Readonly<Record<number, string>> = {
  0x60: "INTR NMI SMI INIT VINTR CR0_SEL_WRITE IDTR_READ GDTR_READ LDTR_READ TR_READ",
  0x6a: "IDTR_WRITE GDTR_WRITE LDTR_WRITE TR_WRITE RDTSC RDPMC PUSHF POPF CPUID RSM IRET SWINT",
  0x76: "INVD PAUSE HLT INVLPG INVLPGA IOIO MSR TASK_SWITCH FERR_FREEZE SHUTDOWN",
  0x80: "VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT RDTSCP ICEBP WBINVD MONITOR MWAIT",
  0x8c: "MWAIT_COND XSETBV RDPRU EFER_WRITE_TRAP",
  0xa0: "INVLPGB INVLPGB_ILLEGAL INVPCID MCOMMIT TLBSYNC BUSLOCK IDLE_HLT",
  0x400: "NPF AVIC_INCOMPLETE_IPI AVIC_UNACCELERATED_ACCESS VMGEXIT",
};

/** The texts of VM-instruction error numbers. */
const VM_INSTRUCTION_ERRORS: Readonly<Record<number, string>> = {
  1: "VMCALL in VMX root operation",
  2: "VMCLEAR: invalid physical address",
  3: "VMCLEAR: VMXON pointer",
  4: "VMLAUNCH: VMCS not clear",
  5: "VMRESUME: VMCS not launched",
  6: "VMRESUME after VMXOFF",
  7: "VM entry: invalid control field",
  8: "VM entry: invalid host-state field",
  9: "VMPTRLD: invalid physical address",
  10: "VMPTRLD: VMXON pointer",
  11: "VMPTRLD: wrong VMCS revision",
  12: "VMREAD/VMWRITE: unsupported VMCS component",
  13: "VMWRITE: read-only VMCS component",
  15: "VMXON in VMX root operation",
  16: "VM entry: invalid executive-VMCS pointer",
  17: "VM entry: executive VMCS not launched",
  18: "VM entry: executive-VMCS pointer is not the VMXON pointer",
  19: "VMCALL: VMCS not clear",
  20: "VMCALL: invalid VM-exit control field",
  22: "VMCALL: wrong MSEG revision",
  23: "VMXOFF under dual-monitor treatment of SMIs",
  24: "VMCALL: invalid SMM-monitor features",
  25: "VM entry: invalid execution control in the executive VMCS",
  26: "VM entry: events blocked by MOV SS",
  28: "INVEPT/INVVPID: invalid operand",
};

/** Bits of the VMX exit reason field above the basic reason. */
const VMX_MODIFIERS: readonly (readonly [bit: bigint, name: string])[] = [
  [1n << 26n, "bus lock"],
  [1n << 27n, "in enclave"],
  [1n << 28n, "pending MTF"],
  [1n << 29n, "from VMX root"],
];
const VMX_ENTRY_FAILURE = 1n << 31n;
const VMX_BASIC_MASK = 0xffffn;

function fromRuns(runs: Readonly<Record<number, string>>): Map<number, string> {
  const names = new Map<number, string>();
  for (const [first, run] of Object.entries(runs)) {
    run.split(" ").forEach((name, i) => names.set(Number(first) + i, name));
  }
  return names;
}

const VMX_NAMES = fromRuns(VMX_RUNS);
const SVM_NAMES = fromRuns(SVM_RUNS);

/**
 * The name of a VMX exit reason, with the flags of its upper half in
 * parentheses; `undefined` when the basic reason or a flag is unknown.
 *
 * @example
 * ```ts
 * import { vmxReasonName } from "./vmx_reasons.ts";
 * console.log(vmxReasonName(0x80000021n)); // "INVALID_STATE (entry failure)"
 * ```
 */
export function vmxReasonName(reason: bigint): string | undefined {
  const name = VMX_NAMES.get(Number(reason & VMX_BASIC_MASK));
  let rest = reason & ~VMX_BASIC_MASK;
  const flags: string[] = [];
  for (const [bit, flag] of [[VMX_ENTRY_FAILURE, "entry failure"] as const, ...VMX_MODIFIERS]) {
    if (rest & bit) flags.push(flag);
    rest &= ~bit;
  }
  if (name === undefined || rest !== 0n) return undefined;
  return flags.length === 0 ? name : `${name} (${flags.join(", ")})`;
}

/** The name of an SVM exit code that is a register access or an exception. */
function svmComputedName(code: number): string | undefined {
  const low = code & 0xf;
  if (code <= 0x1f) return `${code < 0x10 ? "READ" : "WRITE"}_CR${low}`;
  if (code <= 0x3f) return `${code < 0x30 ? "READ" : "WRITE"}_DR${low}`;
  if (code <= 0x5f) return `EXCP ${vectorName(code - 0x40) ?? `vector ${code - 0x40}`}`;
  if (code >= 0x90 && code <= 0x9f) return `CR${low}_WRITE_TRAP`;
  return undefined;
}

/**
 * The name of an SVM exit code (VMCB EXITCODE); `undefined` for an unknown one.
 * -1, that is VMRUN with an invalid guest state, is known in 32 and in 64 bits:
 * kernels differ in how they widen it.
 *
 * @example
 * ```ts
 * import { svmReasonName } from "./vmx_reasons.ts";
 * console.log(svmReasonName(0x400n)); // "NPF"
 * ```
 */
export function svmReasonName(code: bigint): string | undefined {
  if (code === 0xffff_ffffn || BigInt.asIntN(64, code) === -1n) {
    return "INVALID (invalid guest state)";
  }
  if (code < 0n || code > 0xffffn) return undefined;
  return SVM_NAMES.get(Number(code)) ?? svmComputedName(Number(code));
}

/**
 * The meaning of a hardware code that came without a vendor.
 *
 * - `"entry"`: KVM_EXIT_FAIL_ENTRY. With bit 31 it is a VMX exit reason, -1 is
 *   SVM's invalid state, and a small number is a VM-instruction error.
 * - `"exit"`: KVM_EXIT_UNKNOWN and suberror 4 of KVM_EXIT_INTERNAL_ERROR. VMX and
 *   SVM share the small numbers, so both readings are given where both exist.
 *
 * `undefined` when nothing is known about the value.
 *
 * @example
 * ```ts
 * import { hardwareReasonName } from "./vmx_reasons.ts";
 * console.log(hardwareReasonName(0x80000021n)); // "VMX INVALID_STATE (entry failure)"
 * console.log(hardwareReasonName(7n)); // "VM-instruction error 7 (VM entry: invalid control field)"
 * console.log(hardwareReasonName(0x7fn, "exit")); // "SVM SHUTDOWN"
 * ```
 */
export function hardwareReasonName(
  value: bigint,
  context: "entry" | "exit" = "entry",
): string | undefined {
  const vmx = vmxReasonName(value);
  const svm = svmReasonName(value);
  if (context === "entry") {
    const error = VM_INSTRUCTION_ERRORS[Number(value)];
    if (error !== undefined) return `VM-instruction error ${value} (${error})`;
    if (vmx !== undefined && value & VMX_ENTRY_FAILURE) return `VMX ${vmx}`;
  }
  const readings = [vmx && `VMX ${vmx}`, svm && `SVM ${svm}`].filter((name) => name !== undefined);
  return readings.length === 0 ? undefined : readings.join(" or ");
}
