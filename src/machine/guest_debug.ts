/**
 * Single steps and instruction breakpoints, by KVM's guest debugging.
 *
 * @module
 */

import { KVM_GUESTDBG } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { DebugExit } from "../exits/exit.ts";
import { readLinear } from "../faults/linear_memory.ts";
import type { ExitPage } from "../kvm/exit_page.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { bitnessOf, decoder, linearRip, MAX_INSTRUCTION_BYTES } from "../x86/instruction.ts";
import type { Outcome } from "./outcome.ts";

/** x86 has four breakpoint registers (SDM volume 3B, 18.2.1). */
export const MAX_BREAKPOINTS = 4;

/** What to debug. */
export interface DebugOptions {
  /** Exit after each instruction. */
  readonly singleStep?: boolean;
  /** Linear addresses of instructions to exit before; at most four. */
  readonly breakpoints?: readonly bigint[];
  /** Exit at the guest's own `int3` instructions, in place of a #BP. */
  readonly trapInt3?: boolean;
}

/** DR6: a single step (SDM volume 3B, 18.2.3). */
const DR6_SINGLE_STEP = 1n << 14n;
/** DR6: which breakpoints' conditions were met. */
const DR6_BREAKPOINTS = 0xfn;
/** The one byte of the HLT instruction. */
const HLT = 0xf4;

/**
 * The debug exit on a page, without breakpoints where it is a step: a breakpoint at an
 * instruction exits on its own, but at a step some processors set its bit in DR6 already, and
 * those of disabled breakpoints (SDM volume 3B, 18.2.3).
 */
export function decodeDebugExit(page: ExitPage): DebugExit {
  const exit = decodeExit(page) as DebugExit;
  if (!(exit.dr6 & DR6_SINGLE_STEP)) return exit;
  return { ...exit, dr6: exit.dr6 & ~DR6_BREAKPOINTS };
}

/** Keeps a vCPU's debug exits going. */
export class GuestDebug {
  readonly #vcpu: Vcpu;
  #options: Required<DebugOptions>;
  readonly #memory: GuestMemory;
  readonly #isHltExit: boolean;
  /** A breakpoint was hit: it is off for one step, or the guest would not get past it. */
  #steppingOver = false;
  /** Whether KVM was told to step. */
  #isStepping = false;

  /**
   * @param isHltExit whether HLT is an exit (without an in-kernel irqchip): HLT is not stepped
   *   then, since KVM's instruction emulator reports the step in place of the halt and runs on
   *   past it
   * @throws {RangeError} when there are more breakpoints than registers
   */
  constructor(vcpu: Vcpu, options: DebugOptions, memory: GuestMemory, isHltExit = false) {
    this.#vcpu = vcpu;
    this.#options = complete(options);
    this.#memory = memory;
    this.#isHltExit = isHltExit;
  }

  /** What is debugged. */
  get options(): Required<DebugOptions> {
    return this.#options;
  }

  /** Changes what is debugged, from the next {@linkcode apply} on. */
  set options(options: DebugOptions) {
    this.#options = complete(options);
    if (this.#options.breakpoints.length === 0) this.#steppingOver = false;
  }

  /**
   * Starts debugging. To be called when the registers are set: KVM keeps a step
   * only while RIP stays where it was at the request.
   *
   * @param pc the linear address of the next instruction
   */
  start(pc: bigint): void {
    if (this.isOn) this.apply(pc);
  }

  /** Continues after a debug exit. */
  handle(exit: DebugExit): Outcome | undefined {
    if (!this.isOn) return { kind: "unhandled", exit };
    const stepped = (exit.dr6 & DR6_SINGLE_STEP) !== 0n;
    this.#steppingOver = !stepped && this.#options.breakpoints.length > 0;
    this.apply(exit.pc);
    return undefined;
  }

  /**
   * Whether a debug exit is a step that is not requested: past a breakpoint, or past an access
   * at whose exit stepping ended.
   */
  isStepOver({ dr6 }: DebugExit): boolean {
    return this.#isStepping && !this.#options.singleStep && (dr6 & DR6_SINGLE_STEP) !== 0n;
  }

  /** Whether anything is debugged. */
  get isOn(): boolean {
    const { singleStep, breakpoints, trapInt3 } = this.#options;
    return singleStep || breakpoints.length > 0 || trapInt3;
  }

  /**
   * Tells KVM what to debug. To be called when the registers are final.
   *
   * @param pc the linear address of the next instruction
   */
  apply(pc: bigint): void {
    const { ENABLE, SINGLESTEP, USE_HW_BP, USE_SW_BP } = KVM_GUESTDBG;
    const { singleStep, breakpoints, trapInt3 } = this.#options;
    const debugreg = Array<bigint>(8).fill(0n);
    let control = this.isOn ? ENABLE as number : 0;
    if (trapInt3) control |= USE_SW_BP;
    this.#isStepping = (singleStep || this.#steppingOver) && !this.#isHalt(pc);
    if (this.#isStepping) control |= SINGLESTEP;
    if (!this.#steppingOver && breakpoints.length > 0) {
      control |= USE_HW_BP;
      breakpoints.forEach((address, i) => {
        debugreg[i] = address;
        debugreg[7]! |= 2n << BigInt(2 * i); // G0..G3: execution, one byte
      });
    }
    this.#vcpu.setGuestDebug({ control, arch: { debugreg } });
  }

  /** The instruction at a linear address in Intel syntax, where its bytes are one. */
  instructionAt(pc: bigint): string | undefined {
    const regs = this.#vcpu.regs();
    const sregs = this.#vcpu.sregs();
    const rip = regs.rip + pc - linearRip(regs, sregs);
    const code = readLinear(sregs, this.#memory, pc, MAX_INSTRUCTION_BYTES);
    return decoder().decode(code, bitnessOf(sregs), { rip })?.text;
  }

  /** Whether the next instruction is an HLT that ends the run. */
  #isHalt(pc: bigint): boolean {
    if (!this.#isHltExit) return false;
    return readLinear(this.#vcpu.sregs(), this.#memory, pc, 1)[0] === HLT;
  }
}

/** @throws {RangeError} when there are more breakpoints than registers */
function complete(
  { singleStep = false, breakpoints = [], trapInt3 = false }: DebugOptions,
): Required<DebugOptions> {
  if (breakpoints.length > MAX_BREAKPOINTS) {
    throw new RangeError(`x86 has ${MAX_BREAKPOINTS} breakpoints, got ${breakpoints.length}`);
  }
  return { singleStep, breakpoints, trapInt3 };
}
