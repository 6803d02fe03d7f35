/**
 * Single steps and instruction breakpoints, by KVM's guest debugging.
 *
 * @module
 */

import { KVM_GUESTDBG } from "../../ffi/kvm_consts.ts";
import type { DebugExit } from "../exits/exit.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Outcome } from "./outcome.ts";

/** x86 has four breakpoint registers (SDM volume 3B, 18.2.1). */
export const MAX_BREAKPOINTS = 4;

/** What to debug. */
export interface DebugOptions {
  /** Exit after each instruction. */
  readonly singleStep?: boolean;
  /** Linear addresses of instructions to exit before; at most four. */
  readonly breakpoints?: readonly bigint[];
}

/** DR6: a single step (SDM volume 3B, 18.2.3). */
const DR6_SINGLE_STEP = 1n << 14n;
/** The one byte of the HLT instruction. */
const HLT = 0xf4;

/** Keeps a vCPU's debug exits going. */
export class GuestDebug {
  readonly #vcpu: Vcpu;
  readonly #singleStep: boolean;
  readonly #breakpoints: readonly bigint[];
  readonly #memory: GuestMemory | undefined;
  /** A breakpoint was hit: it is off for one step, or the guest would not get past it. */
  #steppingOver = false;

  /**
   * @param memory the guest's RAM, if HLT is an exit (that is, without an in-kernel
   *   irqchip): HLT is not stepped then, since KVM's instruction emulator reports the
   *   step in place of the halt and goes on behind it
   * @throws {RangeError} when there are more breakpoints than registers
   */
  constructor(
    vcpu: Vcpu,
    { singleStep = false, breakpoints = [] }: DebugOptions,
    memory?: GuestMemory,
  ) {
    if (breakpoints.length > MAX_BREAKPOINTS) {
      throw new RangeError(`x86 has ${MAX_BREAKPOINTS} breakpoints, got ${breakpoints.length}`);
    }
    this.#vcpu = vcpu;
    this.#singleStep = singleStep;
    this.#breakpoints = breakpoints;
    this.#memory = memory;
  }

  /**
   * Starts debugging. To be called when the registers are set: KVM keeps a step
   * only as long as RIP stays where it was asked for.
   *
   * @param pc the linear address of the next instruction
   */
  start(pc: bigint): void {
    if (this.#singleStep || this.#breakpoints.length > 0) this.#apply(pc);
  }

  /** Continues after a debug exit. */
  handle(exit: DebugExit): Outcome | undefined {
    if (!this.#singleStep && this.#breakpoints.length === 0) return { kind: "unhandled", exit };
    const stepped = (exit.dr6 & DR6_SINGLE_STEP) !== 0n;
    this.#steppingOver = !stepped && this.#breakpoints.length > 0;
    this.#apply(exit.pc);
    return undefined;
  }

  #apply(pc: bigint): void {
    const { ENABLE, SINGLESTEP, USE_HW_BP } = KVM_GUESTDBG;
    const debugreg = Array<bigint>(8).fill(0n);
    let control = ENABLE as number;
    if ((this.#singleStep || this.#steppingOver) && !this.#isHalt(pc)) control |= SINGLESTEP;
    if (!this.#steppingOver && this.#breakpoints.length > 0) {
      control |= USE_HW_BP;
      this.#breakpoints.forEach((address, i) => {
        debugreg[i] = address;
        debugreg[7]! |= 2n << BigInt(2 * i); // G0..G3: execution, one byte
      });
    }
    this.#vcpu.setGuestDebug({ control, arch: { debugreg } });
  }

  /** Whether the next instruction is an HLT that ends the run. */
  #isHalt(pc: bigint): boolean {
    if (!this.#memory) return false;
    const { valid, physical_address: gpa } = this.#vcpu.translate(pc);
    return valid !== 0 && this.#memory.tryRead(gpa, 1)[0] === HLT;
  }
}
