/**
 * What a VM exit is: one variant for each reason, with exactly its payload.
 *
 * 64-bit guest values are `bigint`, all others `number`. The names are those of
 * `KVM_EXIT_*` in the UAPI header, without the prefix.
 *
 * @module
 */

import type { KVM_EXIT } from "../../ffi/kvm_consts.ts";

/** The name of an exit reason: `"IO"` for `KVM_EXIT_IO`. */
export type ExitReasonName = keyof typeof KVM_EXIT;

/** What every exit has. */
interface Common<R extends string> {
  /** The reason's name. */
  readonly reason: R;
  /** The reason's number: `kvm_run.exit_reason`. */
  readonly code: number;
  /** The instruction pointer as KVM left it at the exit, where registers were shared. */
  readonly rip?: bigint;
}

/** Port I/O, one item or a string of them (`kvm_run.io`). */
export interface IoExit extends Common<"IO"> {
  readonly direction: "in" | "out";
  readonly port: number;
  /** Bytes an item: 1, 2 or 4. */
  readonly size: number;
  /** How many items. */
  readonly count: number;
  /** The items' bytes in `kvm_run`: what the guest wrote, or where the answer goes. */
  readonly data: Uint8Array;
}

/** An access to a GPA that no memory slot covers (`kvm_run.mmio`). */
export interface MmioExit extends Common<"MMIO"> {
  readonly direction: "read" | "write";
  readonly gpa: bigint;
  /** Bytes: 1 to 8. */
  readonly size: number;
  /** The bytes in `kvm_run`: what the guest wrote, or where the answer goes. */
  readonly data: Uint8Array;
}

/** Memory that a slot covers but that KVM cannot map (`kvm_run.memory_fault`). */
export interface MemoryFaultExit extends Common<"MEMORY_FAULT"> {
  readonly flags: bigint;
  readonly gpa: bigint;
  readonly size: bigint;
  /** Flag bit 3: the access was to private memory. */
  readonly private: boolean;
}

/** KVM met something that it cannot handle (`kvm_run.internal`). */
export interface InternalErrorExit extends Common<"INTERNAL_ERROR"> {
  /** One of `KVM_INTERNAL_ERROR`. */
  readonly suberror: number;
  readonly data: readonly bigint[];
  /** The bytes at RIP, where an instruction could not be emulated and KVM gives them. */
  readonly instruction?: Uint8Array;
}

/** The processor refused to enter the guest (`kvm_run.fail_entry`). */
export interface FailEntryExit extends Common<"FAIL_ENTRY"> {
  readonly hardwareReason: bigint;
  /** The host CPU it happened on. */
  readonly hostCpu: number;
}

/** An exit that KVM has no name for (`kvm_run.hw`). */
export interface UnknownExit extends Common<"UNKNOWN"> {
  readonly hardwareReason: bigint;
}

/** An exception that user space asked to see (`kvm_run.ex`). */
export interface ExceptionExit extends Common<"EXCEPTION"> {
  readonly vector: number;
  readonly errorCode: number;
}

/** A single step, a breakpoint or a watchpoint (`kvm_run.debug.arch`). */
export interface DebugExit extends Common<"DEBUG"> {
  /** 1 for #DB, 3 for #BP. */
  readonly vector: number;
  /** The linear address. */
  readonly pc: bigint;
  readonly dr6: bigint;
  readonly dr7: bigint;
}

/** A hypercall for user space (`kvm_run.hypercall`). */
export interface HypercallExit extends Common<"HYPERCALL"> {
  readonly nr: bigint;
  readonly args: readonly bigint[];
  readonly flags: bigint;
}

/** An access to the task-priority register (`kvm_run.tpr_access`). */
export interface TprAccessExit extends Common<"TPR_ACCESS"> {
  readonly direction: "read" | "write";
  readonly accessRip: bigint;
}

/** A machine-wide event (`kvm_run.system_event`). */
export interface SystemEventExit extends Common<"SYSTEM_EVENT"> {
  /** One of `KVM_SYSTEM_EVENT`. */
  readonly type: number;
  readonly data: readonly bigint[];
}

/** An end of interrupt that user space's IOAPIC wants to know of (`kvm_run.eoi`). */
export interface IoapicEoiExit extends Common<"IOAPIC_EOI"> {
  readonly vector: number;
}

/** A Hyper-V enlightenment for user space (`kvm_run.hyperv`). */
export interface HypervExit extends Common<"HYPERV"> {
  readonly detail:
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
}

/** A Xen hypercall for user space (`kvm_run.xen`). */
export interface XenExit extends Common<"XEN"> {
  readonly type: number;
  readonly longMode: boolean;
  readonly cpl: number;
  readonly input: bigint;
  readonly params: readonly bigint[];
}

/** An access to a model-specific register for user space (`kvm_run.msr`). */
export interface MsrExit extends Common<"X86_RDMSR" | "X86_WRMSR"> {
  readonly index: number;
  /** What the guest writes, or the answer to its read. */
  readonly data: bigint;
  /** Whether the guest is given a #GP instead. */
  readonly refused: boolean;
  /** Why it came to user space: one of `KVM_MSR_EXIT_REASON`. */
  readonly why: number;
}

/** The guest kept events out for longer than allowed (`kvm_run.notify`). */
export interface NotifyExit extends Common<"NOTIFY"> {
  /** Bit 0: the vCPU's context is no longer valid. */
  readonly flags: number;
}

/** A TDVMCALL for user space (`kvm_run.tdx`). */
export interface TdxExit extends Common<"TDX"> {
  readonly flags: bigint;
  /** The TDVMCALL leaf. */
  readonly nr: bigint;
  /** The leaf's six words, the first of which is the answer. */
  readonly data: readonly bigint[];
}

/** A confidential guest's request for certificates (`kvm_run.snp_req_certs`). */
export interface SnpReqCertsExit extends Common<"SNP_REQ_CERTS"> {
  readonly gpa: bigint;
  readonly pages: bigint;
}

/** The guest wrote CR8 (`kvm_run.cr8`). */
export interface SetTprExit extends Common<"SET_TPR"> {
  readonly cr8: bigint;
}

/** Reasons that carry nothing but themselves. */
export interface PlainExit extends
  Common<
    | "HLT"
    | "IRQ_WINDOW_OPEN"
    | "SHUTDOWN"
    | "INTR"
    | "NMI"
    | "WATCHDOG"
    | "X86_BUS_LOCK"
    | "AP_RESET_HOLD"
    | "DIRTY_RING_FULL"
  > {}

/** The names of the reasons above. */
type DecodedReason =
  | PlainExit["reason"]
  | MsrExit["reason"]
  | "IO"
  | "MMIO"
  | "MEMORY_FAULT"
  | "INTERNAL_ERROR"
  | "FAIL_ENTRY"
  | "UNKNOWN"
  | "EXCEPTION"
  | "DEBUG"
  | "HYPERCALL"
  | "TPR_ACCESS"
  | "SYSTEM_EVENT"
  | "IOAPIC_EOI"
  | "HYPERV"
  | "XEN"
  | "NOTIFY"
  | "TDX"
  | "SNP_REQ_CERTS"
  | "SET_TPR";

/** A reason of another architecture, with the payload's bytes as they are. */
export interface ForeignExit extends Common<Exclude<ExitReasonName, DecodedReason>> {
  readonly raw: Uint8Array;
}

/** A number that has no name yet, with the payload's bytes as they are. */
export interface UnrecognizedExit extends Common<"UNRECOGNIZED"> {
  readonly raw: Uint8Array;
}

/**
 * One VM exit, told apart by `reason`.
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
export type VmExit =
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
  | PlainExit
  | ForeignExit
  | UnrecognizedExit;
