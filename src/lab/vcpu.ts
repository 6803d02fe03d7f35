/**
 * A vCPU as an experiment sees it.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { DebugExit } from "../exits/exit.ts";
import { exceptionVector } from "../exits/vector_names.ts";
import { hex } from "../hex.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import { injectException } from "../kvm/exception.ts";
import type { Regs, Sregs, Vcpu } from "../kvm/vcpu.ts";
import type { DebugOptions, GuestDebug } from "../machine/guest_debug.ts";
import type { RunContext } from "../machine/run_context.ts";
import { type GuestMemory, GuestMemoryError } from "../memory/guest_memory.ts";
import { pagePieces } from "../pages.ts";
import {
  bitnessOf,
  decoder,
  linearRip,
  loadDecoder,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";
import type { Registers, SystemRegisters } from "../x86/registers.ts";
import { liveView, REGISTERS, SYSTEM_REGISTERS } from "./registers.ts";

// Experiments look at instructions without waiting, in the middle of a loop over exits.
await loadDecoder();

/**
 * A vCPU of a machine.
 *
 * While an exit waits, registers are as KVM left them there: before the effect of an
 * instruction that reads a port, MMIO or an MSR. What is written to them, injected or
 * debugged then takes effect as soon as that instruction is finished; until then a
 * register reads as it was written. After a run all instructions are finished.
 *
 * While a handler runs, so do the other vCPUs: it can look at its own only. In a loop over
 * exits none runs.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0x90, 0x90, 0xf4]), { protocol: "flat16" }); // nop; nop; hlt
 * const { vcpu } = vm;
 * vcpu.singleStep = true;
 * for (const exit of vm.exits()) {
 *   if (exit.reason === "DEBUG") console.log(vcpu.regs.rip, vcpu.disassemble()); // 31745n nop
 * }
 * ```
 */
export interface GuestVcpu {
  /** Its number: 0 for the one that boots. */
  readonly id: number;
  /** The general registers, live. */
  readonly regs: Registers;
  /** The segment, control and system registers, live. */
  readonly sregs: SystemRegisters;
  /** Exit after each instruction (`DEBUG` exits). */
  singleStep: boolean;
  /**
   * Exit before the instructions at these linear addresses (`DEBUG` exits); at most four.
   *
   * @throws {RangeError} when more are set
   */
  breakpoints: readonly bigint[];
  /** Where a linear address (GVA) leads, by the present paging mode; `undefined` for nowhere. */
  translate(gva: bigint): bigint | undefined;
  /** Copies memory out by linear address. @throws {GuestMemoryError} */
  read(gva: bigint, sizeBytes: number): Uint8Array<ArrayBuffer>;
  /** Copies memory in by linear address. @throws {GuestMemoryError} */
  write(gva: bigint, bytes: Uint8Array): void;
  /**
   * The instruction at a linear address, the next one if none is given, in Intel syntax.
   *
   * @returns `(bad)` where there is none
   */
  disassemble(gva?: bigint): string;
  /** Reads a model-specific register. @throws {RangeError} for one that KVM does not know */
  msr(index: number): bigint;
  /** Writes a model-specific register. @throws {RangeError} when KVM refuses */
  setMsr(index: number, value: bigint): void;
  /**
   * Interrupts the guest as soon as it takes interrupts: on a PC by its local APIC, which must
   * be enabled; on a bare machine directly.
   *
   * @param vector 0 to 255
   */
  interrupt(vector: number): void;
  /** Sends a non-maskable interrupt. */
  nmi(): void;
  /**
   * Gives the guest an exception at its next instruction.
   *
   * @param errorCode for vectors that have one. Default 0
   */
  exception(vector: number, errorCode?: number): void;
}

/** What a vCPU needs of its machine. */
export interface VcpuHost {
  /** The guest's RAM. */
  readonly memory: GuestMemory;
  /** Sends a message to a vCPU's local APIC, where there are such. */
  readonly signal: ((cpu: number, vector: number) => void) | undefined;
}

/** {@linkcode GuestVcpu} on KVM's vCPU. */
export class LiveVcpu implements GuestVcpu {
  readonly id: number;
  readonly regs: Registers;
  readonly sregs: SystemRegisters;
  /** What its exits are served with. */
  readonly context: RunContext;
  readonly #debug: GuestDebug;
  readonly #host: VcpuHost;
  /** What was written and takes effect when the instruction is finished. */
  #newRegs: Partial<Regs> = {};
  #newSregs: Partial<Sregs> = {};
  #interrupts: number[] = [];

  constructor(context: RunContext, debug: GuestDebug, host: VcpuHost) {
    this.context = context;
    this.#debug = debug;
    this.#host = host;
    this.id = context.vcpu.id;
    this.regs = liveView<Registers>(
      REGISTERS,
      () => ({ ...this.#vcpu.regs(), ...this.#newRegs }),
      (changed) => {
        const vcpu = this.#vcpu;
        Object.assign(this.#newRegs, changed);
        vcpu.cycle.whenFinal(() => {
          vcpu.setRegs({ ...vcpu.regs(), ...this.#newRegs });
          this.#newRegs = {};
        });
      },
    );
    this.sregs = liveView<SystemRegisters>(
      SYSTEM_REGISTERS,
      () => ({ ...this.#vcpu.sregs(), ...this.#newSregs }),
      (changed) => {
        const vcpu = this.#vcpu;
        Object.assign(this.#newSregs, changed);
        vcpu.cycle.whenFinal(() => {
          vcpu.setSregs({ ...vcpu.sregs(), ...this.#newSregs });
          this.#newSregs = {};
        });
      },
    );
  }

  /** KVM's vCPU. @throws {Error} while it runs on a thread of its own */
  get #vcpu(): Vcpu {
    const { vcpu } = this.context;
    if (vcpu.disposed) throw new DisposedError(vcpu.what);
    if (vcpu.cycle.state === "running") {
      throw new Error(
        `vCPU ${this.id} is running: look at others than the handler's own between runs, ` +
          "or in a loop over exits()",
      );
    }
    return vcpu;
  }

  get singleStep(): boolean {
    return this.#debug.options.singleStep;
  }

  set singleStep(singleStep: boolean) {
    this.debug({ singleStep });
  }

  get breakpoints(): readonly bigint[] {
    return this.#debug.options.breakpoints;
  }

  set breakpoints(breakpoints: readonly bigint[]) {
    this.debug({ breakpoints });
  }

  /** Whether anything is debugged: steps, breakpoints, the guest's own `int3`. */
  get isDebugged(): boolean {
    return this.#debug.isOn;
  }

  /** Changes what is debugged. */
  debug(changed: DebugOptions): void {
    const vcpu = this.#vcpu;
    this.#debug.options = { ...this.#debug.options, ...changed };
    vcpu.cycle.whenFinal(() => this.#debug.apply(linearRip(vcpu.regs(), vcpu.sregs())));
  }

  /** Whether its exit is only KVM's step past a breakpoint, which no program asked for. */
  get isStepOver(): boolean {
    const { page } = this.context.vcpu;
    return page.reason === KVM_EXIT.DEBUG && this.#debug.isStepOver(decodeExit(page) as DebugExit);
  }

  translate(gva: bigint): bigint | undefined {
    const { valid, physical_address } = this.#vcpu.translate(gva);
    return valid === 0 ? undefined : physical_address;
  }

  read(gva: bigint, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    for (const { gpa, offset, sizeBytes: size } of this.#pieces(gva, sizeBytes)) {
      bytes.set(this.#host.memory.read(gpa, size), offset);
    }
    return bytes;
  }

  write(gva: bigint, bytes: Uint8Array): void {
    // All of it is translated before any of it is written.
    const pieces = [...this.#pieces(gva, bytes.length)];
    for (const { gpa, offset, sizeBytes } of pieces) {
      this.#host.memory.write(gpa, bytes.subarray(offset, offset + sizeBytes));
    }
  }

  /** The parts of a range that are each in one page. */
  *#pieces(gva: bigint, sizeBytes: number) {
    for (const { address, offset, sizeBytes: size } of pagePieces(gva, sizeBytes)) {
      const gpa = this.translate(address);
      if (gpa === undefined) {
        throw new GuestMemoryError("no translation of GVA", address, sizeBytes);
      }
      yield { gpa, offset, sizeBytes: size };
    }
  }

  disassemble(gva?: bigint): string {
    const vcpu = this.#vcpu;
    const regs = vcpu.regs();
    const sregs = vcpu.sregs();
    const at = gva ?? linearRip(regs, sregs);
    const rip = gva === undefined ? regs.rip : gva - (linearRip(regs, sregs) - regs.rip);
    return decoder()!.decode(this.#code(at), bitnessOf(sregs), { rip })?.text ??
      "(bad)";
  }

  /** As many bytes of one instruction as can be read. */
  #code(gva: bigint): Uint8Array {
    const bytes = new Uint8Array(MAX_INSTRUCTION_BYTES);
    let length = 0;
    for (const { address, sizeBytes } of pagePieces(gva, bytes.length)) {
      const gpa = this.translate(address);
      if (gpa === undefined) break;
      const piece = this.#host.memory.tryRead(gpa, sizeBytes);
      bytes.set(piece, length);
      length += piece.length;
    }
    return bytes.subarray(0, length);
  }

  msr(index: number): bigint {
    const [msr] = this.#vcpu.msrs([index]);
    if (!msr) throw new RangeError(`KVM knows no MSR ${hex(index)}`);
    return msr.data;
  }

  setMsr(index: number, value: bigint): void {
    if (this.#vcpu.setMsrs([{ index, data: value }]) === 0) {
      throw new RangeError(`KVM refuses ${hex(value)} for MSR ${hex(index)}`);
    }
  }

  interrupt(vector: number): void {
    checkVector(vector, 255);
    if (this.#host.signal) return this.#host.signal(this.id, vector);
    const vcpu = this.#vcpu;
    this.#interrupts.push(vector);
    vcpu.cycle.whenFinal(() => this.openWindow());
  }

  /** Gives the guest the next interrupt that waits, or asks KVM to say when it takes one. */
  openWindow(): void {
    const { vcpu } = this.context;
    const { page } = vcpu;
    if (this.#interrupts.length > 0 && page.readyForInterrupt) {
      vcpu.interrupt(this.#interrupts.shift()!);
      page.interruptQueued();
    }
    page.interruptWindow = this.#interrupts.length > 0;
  }

  nmi(): void {
    const vcpu = this.#vcpu;
    vcpu.cycle.whenFinal(() => vcpu.nmi());
  }

  exception(vector: number, errorCode = 0): void {
    checkVector(vector, 31);
    const vcpu = this.#vcpu;
    vcpu.cycle.whenFinal(() => {
      const hasErrorCode = exceptionVector(vector)?.hasErrorCode ?? false;
      injectException(vcpu, vector, hasErrorCode ? errorCode : undefined);
    });
  }
}

function checkVector(vector: number, last: number): void {
  if (Number.isInteger(vector) && vector >= 0 && vector <= last) return;
  throw new RangeError(`${vector} is no vector: it must be 0 to ${last}`);
}
