/**
 * R11: the guest that runs and gets nowhere. KVM's instruction emulator retries some accesses
 * to a bad page for ever, and `KVM_RUN` never comes out by itself: an INT whose vector it
 * cannot read, a segment load, SGDT. The sign is that no register changes. Whether memory is
 * the cause is for the fault handler to find out: a guest that spins has no bad access.
 *
 * @module
 */

import { KVM_MP_STATE } from "../../ffi/kvm_consts.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { FaultOrigin } from "./origin.ts";

/** A stall, as the origin of a fault. */
export const STALL: FaultOrigin = { shape: "disguised", disguise: "stall", errno: 0 };

/** The time between two looks at a vCPU's registers. */
const PERIOD_MS = 80;
/** As many looks in a row have found the same registers. */
const LOOKS = 3;

/** One vCPU's registers at the last look, and how often in a row they were those. */
interface Seen {
  readonly registers: string;
  readonly looks: number;
}

/** Looks at the vCPUs of a machine from time to time, while they do not run. */
export class StallWatch {
  readonly #isOn: boolean;
  readonly #seen = new Map<Vcpu, Seen>();
  #nextLook = 0;

  /** @param isOn whether any memory can be bad */
  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  /** Whether it is time to look. @param now `performance.now()` */
  isDue(now: number): boolean {
    if (!this.#isOn || now < this.#nextLook) return false;
    this.#nextLook = now + PERIOD_MS;
    return true;
  }

  /** Looks at a vCPU. @returns whether it has got nowhere for several looks */
  look(vcpu: Vcpu): boolean {
    // One with an exit to serve, or that waits for an interrupt, is not in the guest.
    const isInGuest = vcpu.cycle.state === "whole" && vcpu.mpState() === KVM_MP_STATE.RUNNABLE;
    if (!isInGuest) {
      this.#seen.delete(vcpu);
      return false;
    }
    const registers = Object.values(vcpu.regs()).join();
    const before = this.#seen.get(vcpu);
    const looks = before?.registers === registers ? before.looks + 1 : 1;
    // After a report the count restarts: a repair takes effect first.
    this.#seen.set(vcpu, { registers, looks: looks % LOOKS });
    return looks === LOOKS;
  }
}
