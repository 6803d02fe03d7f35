/**
 * Single steps and instruction breakpoints, by KVM's guest debugging.
 *
 * @module
 */

import { KVM_GUESTDBG } from "../../ffi/kvm_consts.ts";
import type { VmExit } from "../exits/exit.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
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

/** Keeps a vCPU's debug exits going. */
export class GuestDebug {
  readonly #vcpu: Vcpu;
  readonly #singleStep: boolean;
  readonly #breakpoints: readonly bigint[];
  /** A breakpoint was hit: it is off for one step, or the guest would not get past it. */
  #steppingOver = false;

  /** @throws {RangeError} when there are more breakpoints than registers */
  constructor(vcpu: Vcpu, { singleStep = false, breakpoints = [] }: DebugOptions) {
    if (breakpoints.length > MAX_BREAKPOINTS) {
      throw new RangeError(`x86 has ${MAX_BREAKPOINTS} breakpoints, got ${breakpoints.length}`);
    }
    this.#vcpu = vcpu;
    this.#singleStep = singleStep;
    this.#breakpoints = breakpoints;
    if (singleStep || breakpoints.length > 0) this.#apply();
  }

  /** Continues after a debug exit. */
  handle(exit: VmExit): Outcome | undefined {
    if (!this.#singleStep && this.#breakpoints.length === 0) return { kind: "unhandled", exit };
    const stepped = exit.reason === "DEBUG" && (exit.dr6 & DR6_SINGLE_STEP) !== 0n;
    this.#steppingOver = !stepped && this.#breakpoints.length > 0;
    this.#apply();
    return undefined;
  }

  #apply(): void {
    const { ENABLE, SINGLESTEP, USE_HW_BP } = KVM_GUESTDBG;
    const debugreg = Array<bigint>(8).fill(0n);
    let control = ENABLE as number;
    if (this.#singleStep || this.#steppingOver) control |= SINGLESTEP;
    if (!this.#steppingOver && this.#breakpoints.length > 0) {
      control |= USE_HW_BP;
      this.#breakpoints.forEach((address, i) => {
        debugreg[i] = address;
        debugreg[7]! |= 2n << BigInt(2 * i); // G0..G3: execution, one byte
      });
    }
    this.#vcpu.setGuestDebug({ control, arch: { debugreg } });
  }
}
