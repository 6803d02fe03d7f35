/**
 * State of a vCPU as live views: reading a field asks KVM, writing one tells KVM, as soon as
 * no instruction is half-finished (R7).
 *
 * @module
 */

import { decode, encode, layout } from "../../ffi/layout.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Registers, SegmentRegister, SystemRegisters } from "../x86/registers.ts";
import { fieldsText, type Layout, showAs } from "./inspect.ts";
import type { DebugRegisters, FpuState, VcpuEvents } from "./vcpu_state.ts";

/** One struct of a vCPU's state: how it is called, read and written. */
export interface StateShape<T extends object> {
  /** Its name in `console.log`. */
  readonly name: string;
  readonly fields: readonly (keyof T & string)[];
  readonly layout?: Layout;
  /** What `console.log` shows. Default: all fields. */
  readonly shown?: (state: T) => object;
  get(vcpu: Vcpu): T;
  /** @param state all fields, and what else {@linkcode get} gave */
  set(vcpu: Vcpu, state: T): void;
}

/** `struct kvm_regs`. */
export const REGISTERS: StateShape<Registers> = {
  name: "Registers",
  fields: [
    ...["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"] as const,
    ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"] as const,
  ],
  layout: { digits: 16, keyWidth: 3 },
  get: (vcpu) => vcpu.regs(),
  set: (vcpu, regs) => vcpu.setRegs(regs),
};

/** `struct kvm_sregs`. */
export const SYSTEM_REGISTERS: StateShape<SystemRegisters> = {
  name: "SystemRegisters",
  fields: [
    ...["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt", "gdt", "idt"] as const,
    ...["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base", "interrupt_bitmap"] as const,
  ],
  get: (vcpu) => vcpu.sregs(),
  set: (vcpu, sregs) => vcpu.setSregs(sregs),
  shown: (sregs) =>
    Object.fromEntries(
      Object.entries(sregs).map(([name, value]) => [
        name,
        typeof value === "object" && "selector" in value ? shownSegment(value) : value,
      ]),
    ),
};

/** A segment without what nearly always is the same. */
function shownSegment({ selector, base, limit, type, dpl, db, l, unusable }: SegmentRegister) {
  return { selector, base, limit, type, dpl, db, l, ...(unusable ? { unusable } : {}) };
}

/** The XSAVE area's legacy part (SDM volume 1, 13.4.1) and the field that says what counts. */
const XSAVE = layout("xsave", 4096, {
  fcw: [0, "u16"],
  fsw: [2, "u16"],
  ftw: [4, "u8"],
  fop: [6, "u16"],
  fip: [8, "u64"],
  fdp: [16, "u64"],
  mxcsr: [24, "u32"],
  st: [32, "u8", 128],
  xmm: [160, "u8", 256],
  xstate_bv: [512, "u64"],
});
/** XSTATE_BV: x87 and SSE are not in their initial state. */
const X87_AND_SSE = 3n;
/** ST registers have 16 bytes each, of which 10 count. */
const ST = { count: 8, sizeBytes: 10, strideBytes: 16 } as const;
const XMM = { count: 16, sizeBytes: 16, strideBytes: 16 } as const;

/**
 * x87 and SSE, by the XSAVE area: `KVM_SET_FPU` leaves MXCSR out, and XSTATE_BV, so that what
 * it sets is lost where the state still is the initial one.
 */
export const FPU: StateShape<FpuState> = {
  name: "FpuState",
  fields: ["fcw", "fsw", "ftw", "fop", "fip", "fdp", "mxcsr", "st", "xmm"],
  get(vcpu) {
    const area = decode(XSAVE, vcpu.xsave());
    return { ...area, st: registerFile(area.st, ST), xmm: registerFile(area.xmm, XMM) };
  },
  set(vcpu, state) {
    const area = vcpu.xsave();
    const xstate_bv = decode(XSAVE, area).xstate_bv | X87_AND_SSE;
    const st = fileBytes("st", state.st, ST);
    const xmm = fileBytes("xmm", state.xmm, XMM);
    vcpu.setXsave(encode(XSAVE, { ...state, st, xmm, xstate_bv }, area));
  },
};

/** `struct kvm_debugregs`. */
export const DEBUG_REGISTERS: StateShape<DebugRegisters> = {
  name: "DebugRegisters",
  fields: ["db", "dr6", "dr7", "flags"],
  get: (vcpu) => vcpu.debugRegs(),
  set: (vcpu, registers) => vcpu.setDebugRegs(registers),
};

/** `struct kvm_vcpu_events`. */
export const EVENTS: StateShape<VcpuEvents> = {
  name: "VcpuEvents",
  fields: [
    ...["exception", "interrupt", "nmi", "sipi_vector", "flags", "smi", "triple_fault"] as const,
    ...["exception_has_payload", "exception_payload"] as const,
  ],
  get: (vcpu) => vcpu.events(),
  set: (vcpu, events) => vcpu.setEvents(events),
};

/** A live view of one struct. */
export class LiveState<T extends object> {
  /** Nothing can be added to it, and what has parts is read and written as a whole. */
  readonly view: T;
  readonly #shape: StateShape<T>;
  readonly #vcpu: () => Vcpu;
  /** Writes that take effect when the instruction is finished. */
  #written: Partial<T> = {};

  /** @param vcpu gives KVM's vCPU, which may change */
  constructor(shape: StateShape<T>, vcpu: () => Vcpu) {
    const { shown = (state) => state } = shape;
    this.#shape = shape;
    this.#vcpu = vcpu;
    const view = {} as T;
    for (const name of shape.fields) {
      Object.defineProperty(view, name, {
        enumerable: true,
        get: () => Object.freeze(this.#read()[name]),
        set: (value: unknown) => this.#write(name, value),
      });
    }
    this.view = Object.seal(
      showAs(view, (self) => fieldsText(shape.name, shown({ ...self }), shape.layout)),
    );
  }

  /** Forgets what has not taken effect: the vCPU is another one now. */
  forget(): void {
    this.#written = {};
  }

  #read(): T {
    return { ...this.#shape.get(this.#vcpu()), ...this.#written };
  }

  #write(name: keyof T & string, value: unknown): void {
    const vcpu = this.#vcpu();
    const wide = typeof value === "number" && typeof this.#read()[name] === "bigint";
    Object.assign(this.#written, { [name]: wide ? BigInt(value) : value });
    vcpu.cycle.whenFinal(() => {
      const state = this.#read();
      this.#written = {};
      this.#shape.set(vcpu, state);
    });
  }
}

interface RegisterFile {
  readonly count: number;
  readonly sizeBytes: number;
  readonly strideBytes: number;
}

/** Registers that lie next to each other. */
function registerFile(bytes: Uint8Array, { count, sizeBytes, strideBytes }: RegisterFile) {
  return Array.from({ length: count }, (_, i) => {
    const at = i * strideBytes;
    return bytes.subarray(at, at + sizeBytes)
      .reduceRight((value, byte) => value << 8n | BigInt(byte), 0n);
  });
}

/** @throws {RangeError} when there are too few registers or too many */
function fileBytes(
  name: string,
  registers: readonly bigint[],
  { count, sizeBytes, strideBytes }: RegisterFile,
): Uint8Array {
  if (registers.length !== count) {
    throw new RangeError(`${name} has ${count} registers, got ${registers.length}`);
  }
  const bytes = new Uint8Array(count * strideBytes);
  registers.forEach((register, i) => {
    let rest = BigInt.asUintN(8 * sizeBytes, register);
    for (let byte = 0; byte < sizeBytes; byte++, rest >>= 8n) {
      bytes[i * strideBytes + byte] = Number(rest & 0xffn);
    }
  });
  return bytes;
}
