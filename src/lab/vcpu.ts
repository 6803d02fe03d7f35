/**
 * A vCPU as an experiment sees it.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { exceptionVector } from "../exits/vector_names.ts";
import { hex } from "../hex.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import { injectException } from "../kvm/exception.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { type DebugOptions, decodeDebugExit, type GuestDebug } from "../machine/guest_debug.ts";
import type { RunContext } from "../machine/run_context.ts";
import { GuestMemoryError } from "../memory/guest_memory.ts";
import { pagePieces } from "../pages.ts";
import { bitnessOf, linearRip, loadDecoder } from "../x86/instruction.ts";
import type { Registers, SystemRegisters } from "../x86/registers.ts";
import { type Address, toAddress } from "./address.ts";
import { instructionAt } from "./exit_instruction.ts";
import { fieldsText, showAs } from "./inspect.ts";
import { type AddressSpace, MemoryView } from "./memory.ts";
import {
  DEBUG_REGISTERS,
  EVENTS,
  FPU,
  LiveState,
  REGISTERS,
  type StateShape,
  SYSTEM_REGISTERS,
} from "./registers.ts";
import type { DebugRegisters, FpuState, VcpuEvents } from "./vcpu_state.ts";

// Experiments look at instructions without waiting, in the middle of a loop over exits.
await loadDecoder();

/**
 * A vCPU of a machine.
 *
 * At an exit, registers are as KVM left them: before the effect of an instruction that reads
 * a port, MMIO or an MSR. A write to them, an injection or a change of the debugging takes
 * effect when that instruction is finished; until then a register reads as written. After a
 * run all instructions are finished.
 *
 * While a handler runs, the other vCPUs run too, so it may look at its own only. In a loop
 * over exits none runs.
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
  /** The x87 and SSE registers, live. */
  readonly fpu: FpuState;
  /** The guest's own debug registers, live. */
  readonly debugRegs: DebugRegisters;
  /** Pending and injected events, live. */
  readonly events: VcpuEvents;
  /** Memory by linear address (GVA), through the guest's present page tables. */
  readonly memory: AddressSpace;
  /** Exit after each instruction (`DEBUG` exits). */
  singleStep: boolean;
  /**
   * Exit before the instructions at these linear addresses (`DEBUG` exits); at most four. Read
   * back, they are bigints.
   *
   * @throws {RangeError} when more are set
   */
  breakpoints: readonly Address[];
  /** The GPA of a linear address by the present paging mode; `undefined` if it is not mapped. */
  translate(gva: Address): bigint | undefined;
  /** Copies memory out by linear address. @throws {GuestMemoryError} */
  read(gva: Address, sizeBytes: number): Uint8Array<ArrayBuffer>;
  /** Copies memory in by linear address. @throws {GuestMemoryError} */
  write(gva: Address, bytes: Uint8Array): void;
  /**
   * The instruction at a linear address, by default the next one, in Intel syntax.
   *
   * @returns `(bad)` for bytes that are no instruction
   */
  disassemble(gva?: Address): string;
  /** Reads a model-specific register. @throws {RangeError} for one that KVM does not know */
  msr(index: number): bigint;
  /** Writes a model-specific register. @throws {RangeError} when KVM refuses */
  setMsr(index: number, value: number | bigint): void;
  /** The XSAVE area, 4096 bytes: x87, SSE, AVX and so on (SDM volume 1, 13.4). */
  xsave(): Uint8Array<ArrayBuffer>;
  /** Writes the XSAVE area. @throws {RangeError} unless it has 4096 bytes */
  setXsave(area: Uint8Array): void;
  /**
   * The local APIC's registers, 1024 bytes (SDM volume 3A, 12.4.1).
   *
   * @throws {Error} on a bare machine, which has none
   */
  lapic(): Uint8Array<ArrayBuffer>;
  /**
   * Writes the local APIC's registers.
   *
   * @throws {RangeError} unless there are 1024 bytes
   * @throws {Error} on a bare machine, which has none
   */
  setLapic(registers: Uint8Array): void;
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

/** The parts of the machine that a vCPU uses. */
export interface VcpuHost {
  /** The means to serve its exits. */
  readonly context: RunContext;
  readonly debug: GuestDebug;
  /** Sends a message to a vCPU's local APIC; `undefined` on a machine without. */
  readonly signal: ((cpu: number, vector: number) => void) | undefined;
}

/** {@linkcode GuestVcpu} on KVM's vCPU. */
export class LiveVcpu implements GuestVcpu {
  readonly id: number;
  readonly regs: Registers;
  readonly sregs: SystemRegisters;
  readonly fpu: FpuState;
  readonly debugRegs: DebugRegisters;
  readonly events: VcpuEvents;
  readonly memory: AddressSpace;
  #host: VcpuHost;
  readonly #states: LiveState<object>[] = [];
  #interrupts: number[] = [];

  static {
    showAs<LiveVcpu>(this.prototype, (self) => self.#text());
  }

  constructor(host: VcpuHost) {
    this.#host = host;
    this.id = host.context.vcpu.id;
    this.regs = this.#live(REGISTERS);
    this.sregs = this.#live(SYSTEM_REGISTERS);
    this.fpu = this.#live(FPU);
    this.debugRegs = this.#live(DEBUG_REGISTERS);
    this.events = this.#live(EVENTS);
    this.memory = new MemoryView({
      read: (gva, sizeBytes) => this.#read(gva, sizeBytes),
      write: (gva, bytes) => this.#write(gva, bytes),
    });
  }

  /** Becomes the same vCPU of a new machine. */
  moveTo(host: VcpuHost): void {
    this.#host = host;
    this.#interrupts = [];
    for (const state of this.#states) state.forget();
  }

  /** The means to serve its exits. */
  get context(): RunContext {
    return this.#host.context;
  }

  #live<T extends object>(shape: StateShape<T>): T {
    const state = new LiveState(shape, () => this.#vcpu);
    this.#states.push(state as unknown as LiveState<object>);
    return state.view;
  }

  #text(): string {
    const { vcpu } = this.context;
    const name = `Vcpu ${this.id}`;
    if (vcpu.disposed) return `${name} (disposed)`;
    if (vcpu.cycle.state === "running") return `${name} (running)`;
    const bits = bitnessOf(vcpu.sregs());
    return fieldsText(name, { instruction: this.disassemble(), bits, regs: this.regs });
  }

  /** KVM's vCPU. @throws {Error} while it runs on its own thread */
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

  get #debug(): GuestDebug {
    return this.#host.debug;
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

  set breakpoints(addresses: readonly Address[]) {
    this.debug({ breakpoints: addresses.map((address) => toAddress("breakpoints", address)) });
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

  /** Whether its exit is only KVM's step past a breakpoint, not one of the program's. */
  get isStepOver(): boolean {
    const { page } = this.context.vcpu;
    return page.reason === KVM_EXIT.DEBUG && this.#debug.isStepOver(decodeDebugExit(page));
  }

  translate(gva: Address): bigint | undefined {
    const { valid, physical_address } = this.#vcpu.translate(toAddress("translate", gva));
    return valid === 0 ? undefined : physical_address;
  }

  read(gva: Address, sizeBytes: number): Uint8Array<ArrayBuffer> {
    return this.memory.read(gva, sizeBytes);
  }

  write(gva: Address, bytes: Uint8Array): void {
    this.memory.write(gva, bytes);
  }

  #read(gva: bigint, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    for (const { gpa, offset, sizeBytes: size } of this.#pieces(gva, sizeBytes)) {
      bytes.set(this.context.memory.read(gpa, size), offset);
    }
    return bytes;
  }

  #write(gva: bigint, bytes: Uint8Array): void {
    // All of it is translated before any of it is written.
    const pieces = [...this.#pieces(gva, bytes.length)];
    for (const { gpa, offset, sizeBytes } of pieces) {
      this.context.memory.write(gpa, bytes.subarray(offset, offset + sizeBytes));
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

  disassemble(gva?: Address): string {
    const vcpu = this.#vcpu;
    const regs = vcpu.regs();
    const sregs = vcpu.sregs();
    const rip = gva === undefined
      ? regs.rip
      : toAddress("disassemble", gva) - (linearRip(regs, sregs) - regs.rip);
    const state = { regs: { ...regs, rip }, sregs };
    return instructionAt(state, this.context.memory)?.text ?? "(bad)";
  }

  msr(index: number): bigint {
    const [msr] = this.#vcpu.msrs([index]);
    if (!msr) throw new RangeError(`KVM knows no MSR ${hex(index)}`);
    return msr.data;
  }

  setMsr(index: number, value: number | bigint): void {
    if (this.#vcpu.setMsrs([{ index, data: BigInt(value) }]) === 0) {
      throw new RangeError(`KVM refuses ${hex(value)} for MSR ${hex(index)}`);
    }
  }

  xsave(): Uint8Array<ArrayBuffer> {
    return this.#vcpu.xsave();
  }

  setXsave(area: Uint8Array): void {
    const vcpu = this.#vcpu;
    const copy = exactly(area, XSAVE_BYTES, "an XSAVE area");
    vcpu.cycle.whenFinal(() => vcpu.setXsave(copy));
  }

  lapic(): Uint8Array<ArrayBuffer> {
    this.#requireLapic();
    return this.#vcpu.lapic();
  }

  setLapic(registers: Uint8Array): void {
    this.#requireLapic();
    const vcpu = this.#vcpu;
    const copy = exactly(registers, LAPIC_BYTES, "a local APIC");
    vcpu.cycle.whenFinal(() => vcpu.setLapic(copy));
  }

  #requireLapic(): void {
    if (this.#host.signal) return;
    throw new Error('a bare machine has no local APIC; make it a "pc"');
  }

  interrupt(vector: number): void {
    checkVector(vector, 255);
    if (this.#host.signal) return this.#host.signal(this.id, vector);
    const vcpu = this.#vcpu;
    this.#interrupts.push(vector);
    vcpu.cycle.whenFinal(() => this.openWindow());
  }

  /** Gives the guest the next pending interrupt, or asks KVM to say when it takes one. */
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

const XSAVE_BYTES = 4096;
const LAPIC_BYTES = 1024;

/** A copy of the bytes. @throws {RangeError} when they are more or fewer than expected */
function exactly(bytes: Uint8Array, sizeBytes: number, what: string): Uint8Array<ArrayBuffer> {
  if (bytes.length === sizeBytes) return bytes.slice();
  throw new RangeError(`${what} has ${sizeBytes} bytes, got ${bytes.length}`);
}

function checkVector(vector: number, last: number): void {
  if (Number.isInteger(vector) && vector >= 0 && vector <= last) return;
  throw new RangeError(`${vector} is not a vector: vectors are 0 to ${last}`);
}
