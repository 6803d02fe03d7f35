/**
 * What else makes up a vCPU's state, besides the registers of `src/x86/registers.ts`: x87 and
 * SSE, debug registers, pending events.
 *
 * @module
 */

/**
 * x87 and SSE state (SDM volume 1, 10.5.1). An array is read as a copy: to change an element,
 * write the whole array. What AVX and later extensions add is in `xsave()`.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xf4]), { protocol: "flat64" });
 * const { fpu } = vm.vcpu;
 * fpu.xmm = fpu.xmm.with(1, 0x1122n);
 * console.log(fpu.xmm[1], fpu.mxcsr === 0x1f80); // 4386n true
 * ```
 */
export interface FpuState {
  /** The x87 control word. */
  fcw: number;
  /** The x87 status word. */
  fsw: number;
  /** The x87 tag word, abridged: a bit for each register in use. */
  ftw: number;
  /** The opcode of the last x87 instruction. */
  fop: number;
  /** The last x87 instruction's address. */
  fip: bigint;
  /** The last x87 operand's address. */
  fdp: bigint;
  /** The SSE control and status register. */
  mxcsr: number;
  /** ST0 to ST7, 80 bits each. */
  st: readonly bigint[];
  /** XMM0 to XMM15, 128 bits each. */
  xmm: readonly bigint[];
}

/**
 * The guest's debug registers (`struct kvm_debugregs`). Those that `singleStep` and
 * `breakpoints` use are others, which the guest does not see.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.vcpu.debugRegs.db = [0x7c00n, 0n, 0n, 0n];
 * console.log(vm.vcpu.debugRegs.db[0]); // 31744n
 * ```
 */
export interface DebugRegisters {
  /** DR0 to DR3: linear addresses. */
  db: readonly bigint[];
  /** DR6: what happened. */
  dr6: bigint;
  /** DR7: which breakpoints are on. */
  dr7: bigint;
  /** None are defined. */
  flags: bigint;
}

/**
 * Pending and injected events (`struct kvm_vcpu_events`). A part is read as a copy: to change
 * one field of it, write the whole part.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * const { events } = vm.vcpu;
 * events.nmi = { ...events.nmi, masked: 1 };
 * console.log(events.nmi.masked); // 1
 * ```
 */
export interface VcpuEvents {
  /** The exception that is pending or being delivered. */
  exception: {
    /** 1: KVM delivers it at the next entry. */
    readonly injected: number;
    /** The vector. */
    readonly nr: number;
    /** 1: it has an error code. */
    readonly has_error_code: number;
    /** 1: it is pending, and its side effects (CR2, DR6) have not happened. */
    readonly pending: number;
    /** The error code. */
    readonly error_code: number;
  };
  /** The external or software interrupt that is being delivered. */
  interrupt: {
    /** 1: KVM delivers it at the next entry. */
    readonly injected: number;
    /** The vector. */
    readonly nr: number;
    /** 1: by an instruction, `int n`. */
    readonly soft: number;
    /** The interrupt shadow: 1 after MOV SS, 2 after STI. */
    readonly shadow: number;
  };
  /** The non-maskable interrupt. */
  nmi: {
    /** 1: KVM delivers it at the next entry. */
    readonly injected: number;
    /** How many are pending. */
    readonly pending: number;
    /** 1: NMIs are masked until the next IRET. */
    readonly masked: number;
    /** Unused. */
    readonly pad: number;
  };
  /** The vector of a pending start-up interrupt. */
  sipi_vector: number;
  /** `KVM_VCPUEVENT_VALID_*`: which parts a write changes. */
  flags: number;
  /** The system-management interrupt. */
  smi: {
    /** 1: the vCPU is in system-management mode. */
    readonly smm: number;
    /** 1: one is pending. */
    readonly pending: number;
    /** 1: it came within an NMI. */
    readonly smm_inside_nmi: number;
    /** 1: an INIT is held until the end of system-management mode. */
    readonly latched_init: number;
  };
  /** A pending triple fault. */
  triple_fault: {
    /** 1: one is pending. */
    readonly pending: number;
  };
  /** 1: `exception_payload` counts. */
  exception_has_payload: number;
  /** What the exception puts into CR2 or DR6. */
  exception_payload: bigint;
}
