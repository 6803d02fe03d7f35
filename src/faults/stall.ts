/**
 * The guest that runs and gets nowhere: in real mode KVM's instruction emulator
 * tries an INT whose vector it cannot read again and again, and `KVM_RUN` never
 * comes out by itself. What shows it is that nothing has changed.
 *
 * @module
 */

import type { Vcpu } from "../kvm/vcpu.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { CR0 } from "../x86/control_registers.ts";
import { linearRip } from "../x86/instruction.ts";
import type { FaultOrigin } from "./origin.ts";

/** `int3`, `int n` and `into`. */
const INT_OPCODES = [0xcc, 0xcd, 0xce];

/** What a stall is to the fault handler, which finds out whether memory is behind it. */
export const STALL: FaultOrigin = { shape: "disguised", disguise: "stall", errno: 0 };

/** Looks at one vCPU from time to time. */
export class StallWatch {
  #before = "";

  /**
   * Looks at a vCPU that an alarm has interrupted.
   *
   * @param exits how often the guest has come out by itself so far
   * @returns whether it is at an INT in real mode, as it was the time before
   */
  look(vcpu: Vcpu, memory: GuestMemory, exits: number): boolean {
    if (memory.holes.length === 0) return false;
    const regs = vcpu.regs();
    const now = [exits, ...Object.values(regs)].join();
    const same = now === this.#before;
    this.#before = now;
    if (!same) return false;
    const sregs = vcpu.sregs();
    if (sregs.cr0 & CR0.PE) return false;
    const [opcode = 0] = memory.tryRead(linearRip(regs, sregs), 1);
    return INT_OPCODES.includes(opcode);
  }
}
