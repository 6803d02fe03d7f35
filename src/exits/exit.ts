/**
 * The type of a VM exit: one variant for each reason, with exactly its payload.
 *
 * 64-bit guest values are `bigint`, all others `number`. The names are those of
 * `KVM_EXIT_*` in the UAPI header, without the prefix.
 *
 * @module
 */

import type { KVM_EXIT } from "../../ffi/kvm_consts.ts";

/** The name of an exit reason: `"IO"` for `KVM_EXIT_IO`. */
export type ExitReasonName = keyof typeof KVM_EXIT;

/** The fields of every exit. */
export interface ExitCommon<R extends string> {
  /** The reason's name. */
  readonly reason: R;
  /** The reason's number: `kvm_run.exit_reason`. */
  readonly code: number;
  /** The instruction pointer as KVM left it at the exit, where registers were shared. */
  readonly rip?: bigint;
}

/** Port I/O, one item or a string of them (`kvm_run.io`). */
export interface IoExit extends ExitCommon<"IO"> {
  /** `in`: the guest reads. */
  readonly direction: "in" | "out";
  /** The port. */
  readonly port: number;
  /** Bytes an item: 1, 2 or 4. */
  readonly size: number;
  /** How many items. */
  readonly count: number;
  /** The items' bytes in `kvm_run`: what the guest wrote, or where the answer goes. */
  readonly data: Uint8Array;
}

/** An access to a GPA that no memory slot covers (`kvm_run.mmio`). */
export interface MmioExit extends ExitCommon<"MMIO"> {
  /** What the guest does. */
  readonly direction: "read" | "write";
  /** The guest physical address. */
  readonly gpa: bigint;
  /** Bytes: 1 to 8. */
  readonly size: number;
  /** The bytes in `kvm_run`: what the guest wrote, or where the answer goes. */
  readonly data: Uint8Array;
}

/** Memory that a slot covers but that KVM cannot map (`kvm_run.memory_fault`). */
export interface MemoryFaultExit extends ExitCommon<"MEMORY_FAULT"> {
  /** `KVM_MEMORY_EXIT_FLAG_*`. */
  readonly flags: bigint;
  /** The guest physical address. */
  readonly gpa: bigint;
  /** Bytes. */
  readonly size: bigint;
  /** Flag bit 3: the access was to private memory. */
  readonly private: boolean;
}

/** KVM cannot continue (`kvm_run.internal`). */
export interface InternalErrorExit extends ExitCommon<"INTERNAL_ERROR"> {
  /** One of `KVM_INTERNAL_ERROR`. */
  readonly suberror: number;
  /** What KVM adds. */
  readonly data: readonly bigint[];
  /** The bytes at RIP, where an instruction could not be emulated and KVM gives them. */
  readonly instructionBytes?: Uint8Array;
}

/** The processor refused to enter the guest (`kvm_run.fail_entry`). */
export interface FailEntryExit extends ExitCommon<"FAIL_ENTRY"> {
  /** The processor's own reason. */
  readonly hardwareReason: bigint;
  /** The host CPU it happened on. */
  readonly hostCpu: number;
}

/** An exit that KVM has no name for (`kvm_run.hw`). */
export interface UnknownExit extends ExitCommon<"UNKNOWN"> {
  /** The processor's own reason. */
  readonly hardwareReason: bigint;
}

/** An exception that user space asked to see (`kvm_run.ex`). */
export interface ExceptionExit extends ExitCommon<"EXCEPTION"> {
  /** The exception. */
  readonly vector: number;
  /** Its error code. */
  readonly errorCode: number;
}

/** A single step, a breakpoint or a watchpoint (`kvm_run.debug.arch`). */
export interface DebugExit extends ExitCommon<"DEBUG"> {
  /** 1 for #DB, 3 for #BP. */
  readonly vector: number;
  /** The linear address. */
  readonly pc: bigint;
  /** DR6: what happened. */
  readonly dr6: bigint;
  /** DR7: which breakpoints are on. */
  readonly dr7: bigint;
  /** The instruction there, which is next, in Intel syntax; KVM does not say it. */
  readonly instructionText?: string;
}

/** A hypercall for user space (`kvm_run.hypercall`). */
export interface HypercallExit extends ExitCommon<"HYPERCALL"> {
  /** The hypercall's number. */
  readonly nr: bigint;
  /** Its six arguments. */
  readonly args: readonly bigint[];
  /** `KVM_EXIT_HYPERCALL_*`. */
  readonly flags: bigint;
}

/** An access to the task-priority register (`kvm_run.tpr_access`). */
export interface TprAccessExit extends ExitCommon<"TPR_ACCESS"> {
  /** What the guest does. */
  readonly direction: "read" | "write";
  /** Where it does it. */
  readonly accessRip: bigint;
}

/** A machine-wide event (`kvm_run.system_event`). */
export interface SystemEventExit extends ExitCommon<"SYSTEM_EVENT"> {
  /** One of `KVM_SYSTEM_EVENT`. */
  readonly type: number;
  /** What KVM adds. */
  readonly data: readonly bigint[];
}

/** An end of interrupt for an I/O APIC in user space (`kvm_run.eoi`). */
export interface IoapicEoiExit extends ExitCommon<"IOAPIC_EOI"> {
  /** The interrupt's vector. */
  readonly vector: number;
}

/** A Hyper-V enlightenment for user space (`kvm_run.hyperv`). */
export interface HypervExit extends ExitCommon<"HYPERV"> {
  /** Which, and with what. */
  readonly detail: HypervDetail;
}

/** The payloads of a {@linkcode HypervExit}. */
export type HypervDetail =
  | {
    readonly kind: "synic";
    readonly msr: number;
    readonly control: bigint;
    readonly eventPage: bigint;
    readonly messagePage: bigint;
  }
  | { readonly kind: "hypercall"; readonly input: bigint; readonly params: readonly bigint[] }
  | {
    readonly kind: "debugger";
    readonly msr: number;
    readonly control: bigint;
    readonly status: bigint;
    readonly sendPage: bigint;
    readonly receivePage: bigint;
    readonly pendingPage: bigint;
  }
  | { readonly kind: "unrecognized"; readonly type: number; readonly raw: Uint8Array };

/** A Xen hypercall for user space (`kvm_run.xen`). */
export interface XenExit extends ExitCommon<"XEN"> {
  /** `KVM_EXIT_XEN_HCALL` = 1. */
  readonly type: number;
  /** Whether the guest is in long mode. */
  readonly longMode: boolean;
  /** Its privilege level. */
  readonly cpl: number;
  /** The hypercall's number. */
  readonly input: bigint;
  /** Its arguments. */
  readonly params: readonly bigint[];
}

/** An access to a model-specific register for user space (`kvm_run.msr`). */
export interface MsrExit extends ExitCommon<"X86_RDMSR" | "X86_WRMSR"> {
  /** The register. */
  readonly index: number;
  /** What the guest writes, or the answer to its read. */
  readonly data: bigint;
  /** Whether the guest gets a #GP instead. */
  readonly refused: boolean;
  /** Why it came to user space: one of `KVM_MSR_EXIT_REASON`. */
  readonly why: number;
}

/** The guest blocked events for longer than allowed (`kvm_run.notify`). */
export interface NotifyExit extends ExitCommon<"NOTIFY"> {
  /** Bit 0: the vCPU's context is no longer valid. */
  readonly flags: number;
}

/** A TDVMCALL for user space (`kvm_run.tdx`). */
export interface TdxExit extends ExitCommon<"TDX"> {
  /** Set by the kernel. */
  readonly flags: bigint;
  /** The TDVMCALL leaf. */
  readonly nr: bigint;
  /** The leaf's six words, the first of which is the answer. */
  readonly data: readonly bigint[];
}

/** A confidential guest's request for certificates (`kvm_run.snp_req_certs`). */
export interface SnpReqCertsExit extends ExitCommon<"SNP_REQ_CERTS"> {
  /** Where to put them. */
  readonly gpa: bigint;
  /** How many pages there is room for. */
  readonly pages: bigint;
}

/** The guest wrote CR8 (`kvm_run.cr8`). */
export interface SetTprExit extends ExitCommon<"SET_TPR"> {
  /** The value. */
  readonly cr8: bigint;
}

/** Reasons without a payload. */
export const PLAIN_REASONS = [
  "HLT",
  "IRQ_WINDOW_OPEN",
  "SHUTDOWN",
  "INTR",
  "NMI",
  "WATCHDOG",
  "X86_BUS_LOCK",
  "AP_RESET_HOLD",
  "DIRTY_RING_FULL",
] as const;

/** An exit of one of them. */
export interface PlainExit extends ExitCommon<typeof PLAIN_REASONS[number]> {}

/** An exit whose payload is decoded. */
export type DecodedExit =
  | IoExit
  | MmioExit
  | MemoryFaultExit
  | InternalErrorExit
  | FailEntryExit
  | UnknownExit
  | ExceptionExit
  | DebugExit
  | HypercallExit
  | TprAccessExit
  | SystemEventExit
  | IoapicEoiExit
  | HypervExit
  | XenExit
  | MsrExit
  | NotifyExit
  | TdxExit
  | SnpReqCertsExit
  | SetTprExit
  | PlainExit;

/** The names of their reasons. */
export type DecodedReason = DecodedExit["reason"];

/** A reason of another architecture, with the payload's bytes as they are. */
export interface ForeignExit extends ExitCommon<Exclude<ExitReasonName, DecodedReason>> {
  /** The payload. */
  readonly raw: Uint8Array;
}

/** A number that has no name yet, with the payload's bytes as they are. */
export interface UnrecognizedExit extends ExitCommon<"UNRECOGNIZED"> {
  /** The payload. */
  readonly raw: Uint8Array;
}

/**
 * One VM exit, discriminated by `reason`.
 *
 * @example
 * ```ts
 * import type { VmExit } from "./exit.ts";
 * function firstByte(exit: VmExit): number | undefined {
 *   return exit.reason === "IO" ? exit.data[0] : undefined;
 * }
 * console.log(firstByte({ reason: "HLT", code: 5 })); // undefined
 * ```
 */
export type VmExit = DecodedExit | ForeignExit | UnrecognizedExit;
