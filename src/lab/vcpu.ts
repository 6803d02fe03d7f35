/**
 * A vCPU as an experiment sees it.
 *
 * @module
 */

import { KVM_RUN_STRUCT } from "../../ffi/kvm_run.ts";
import { exceptionVector } from "../exits/vector_names.ts";
import { hex } from "../hex.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import type { Regs, Sregs, Vcpu as KvmVcpu } from "../kvm/vcpu.ts";
import { type GuestMemory, GuestMemoryError } from "../memory/guest_memory.ts";
import { PAGE_BYTES } from "../memory/ram.ts";
import { CR0 } from "../x86/control_registers.ts";
import {
  bitnessOf,
  decoder,
  linearRip,
  loadDecoder,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";
import type { Registers, SystemRegisters } from "../x86/registers.ts";
import { liveView, REGISTERS, SYSTEM_REGISTERS } from "./registers.ts";
import type { ExitSlot } from "./slot.ts";

// Experiments look at instructions without waiting, in the middle of a loop over exits.
await loadDecoder();

const READY = KVM_RUN_STRUCT.fields.ready_for_interrupt_injection[0];
const WINDOW_WANTED = KVM_RUN_STRUCT.fields.request_interrupt_window[0];

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
export interface Vcpu {
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
  /** Whether a vCPU runs on another thread now. */
  isElsewhere(cpu: number): boolean;
}

/** {@linkcode Vcpu} on KVM's. */
export class LiveVcpu implements Vcpu {
  readonly id: number;
  readonly regs: Registers;
  readonly sregs: SystemRegisters;
  readonly #slot: ExitSlot;
  readonly #host: VcpuHost;
  /** What was written and has to wait. */
  #newRegs: Partial<Regs> = {};
  #newSregs: Partial<Sregs> = {};
  #interrupts: number[] = [];

  constructor(slot: ExitSlot, host: VcpuHost) {
    this.#slot = slot;
    this.#host = host;
    this.id = slot.context.vcpu.id;
    this.regs = liveView<Registers>(
      REGISTERS,
      () => ({ ...this.#vcpu.regs(), ...this.#newRegs }),
      (changed) => {
        const vcpu = this.#vcpu;
        Object.assign(this.#newRegs, changed);
        slot.afterwards(() => {
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
        slot.afterwards(() => {
          vcpu.setSregs({ ...vcpu.sregs(), ...this.#newSregs });
          this.#newSregs = {};
        });
      },
    );
  }

  /** KVM's vCPU, where it is at hand. */
  get #vcpu(): KvmVcpu {
    if (this.#host.isElsewhere(this.id)) {
      throw new Error(
        `vCPU ${this.id} is running: look at others than the handler's own between runs, ` +
          "or in a loop over exits()",
      );
    }
    const { vcpu } = this.#slot.context;
    if (vcpu.disposed) throw new DisposedError(vcpu.what);
    return vcpu;
  }

  get singleStep(): boolean {
    return this.#slot.debug.options.singleStep;
  }

  set singleStep(singleStep: boolean) {
    this.debug({ singleStep });
  }

  get breakpoints(): readonly bigint[] {
    return this.#slot.debug.options.breakpoints;
  }

  set breakpoints(breakpoints: readonly bigint[]) {
    this.debug({ breakpoints });
  }

  /** Changes what is debugged. */
  debug(changed: Partial<ExitSlot["debug"]["options"]>): void {
    const { debug } = this.#slot;
    const vcpu = this.#vcpu;
    debug.options = { ...debug.options, ...changed };
    this.#slot.afterwards(() => debug.apply(linearRip(vcpu.regs(), vcpu.sregs())));
  }

  translate(gva: bigint): bigint | undefined {
    const { valid, physical_address } = this.#vcpu.translate(gva);
    return valid === 0 ? undefined : physical_address;
  }

  read(gva: bigint, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    for (const { gpa, start, end } of this.#pieces(gva, sizeBytes)) {
      bytes.set(this.#host.memory.read(gpa, end - start), start);
    }
    return bytes;
  }

  write(gva: bigint, bytes: Uint8Array): void {
    // All of it is looked at before any of it is written.
    const pieces = [...this.#pieces(gva, bytes.length)];
    for (const { gpa, start, end } of pieces) {
      this.#host.memory.write(gpa, bytes.subarray(start, end));
    }
  }

  /** The parts of a range that are each in one page. */
  *#pieces(
    gva: bigint,
    sizeBytes: number,
  ): Generator<{ readonly gpa: bigint; readonly start: number; readonly end: number }> {
    for (let start = 0; start < sizeBytes;) {
      const at = gva + BigInt(start);
      const gpa = this.translate(at);
      if (gpa === undefined) throw new GuestMemoryError("no translation of GVA", at, sizeBytes);
      const end = Math.min(sizeBytes, start + PAGE_BYTES - Number(at % BigInt(PAGE_BYTES)));
      yield { gpa, start, end };
      start = end;
    }
  }

  disassemble(gva?: bigint): string {
    const vcpu = this.#vcpu;
    const regs = vcpu.regs();
    const sregs = vcpu.sregs();
    const at = gva ?? linearRip(regs, sregs);
    const rip = gva === undefined ? regs.rip : gva - (linearRip(regs, sregs) - regs.rip);
    return decoder()!.decode(this.#code(at), bitnessOf(sregs), { ...regs, rip }, sregs)?.text ??
      "(bad)";
  }

  /** As many bytes of one instruction as can be read. */
  #code(gva: bigint): Uint8Array {
    const bytes = new Uint8Array(MAX_INSTRUCTION_BYTES);
    const left = PAGE_BYTES - Number(gva % BigInt(PAGE_BYTES));
    let length = 0;
    for (const size of [Math.min(left, bytes.length), Math.max(0, bytes.length - left)]) {
      const gpa = this.translate(gva + BigInt(length));
      if (size === 0 || gpa === undefined) break;
      const piece = this.#host.memory.tryRead(gpa, size);
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
    this.#slot.afterwards(() => this.openWindow(vcpu));
  }

  /** Gives the guest the next interrupt that waits, or asks KVM to say when it takes one. */
  openWindow(vcpu = this.#vcpu): void {
    if (this.#interrupts.length > 0 && vcpu.area[READY] === 1) {
      vcpu.interrupt(this.#interrupts.shift()!);
      vcpu.area[READY] = 0;
    }
    vcpu.area[WINDOW_WANTED] = this.#interrupts.length > 0 ? 1 : 0;
  }

  nmi(): void {
    const vcpu = this.#vcpu;
    this.#slot.afterwards(() => vcpu.nmi());
  }

  exception(vector: number, errorCode = 0): void {
    checkVector(vector, 31);
    const vcpu = this.#vcpu;
    this.#slot.afterwards(() => {
      const isProtected = (vcpu.sregs().cr0 & CR0.PE) !== 0n;
      const events = vcpu.events();
      vcpu.setEvents({
        ...events,
        exception: {
          ...events.exception,
          injected: 1,
          nr: vector,
          has_error_code: isProtected && exceptionVector(vector)?.hasErrorCode ? 1 : 0,
          error_code: errorCode,
        },
      });
    });
  }
}

function checkVector(vector: number, last: number): void {
  if (Number.isInteger(vector) && vector >= 0 && vector <= last) return;
  throw new RangeError(`${vector} is no vector: it must be 0 to ${last}`);
}
