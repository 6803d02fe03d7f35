/**
 * Finds the store that KVM has already stepped past. When KVM's instruction
 * emulator hands a store out as MMIO, RIP is behind the instruction, so that the
 * one at RIP is not the one that faulted.
 *
 * @module
 */

import type { Regs } from "../kvm/vcpu.ts";
import {
  bitnessOf,
  type DecodedInstruction,
  type InstructionDecoder,
  linearRip,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { type CpuState, translate } from "./locate.ts";

/** A store and where its instruction is. */
export interface PassedStore {
  readonly instruction: DecodedInstruction;
  /** RIP at the instruction. */
  readonly rip: bigint;
  /** The linear address that it stores to. */
  readonly gva: bigint;
}

/**
 * Looks for an instruction that ends at RIP and stores so many bytes to this GPA.
 *
 * @returns `undefined` where there is none: RIP is not behind a store
 */
export function findPassedStore(
  cpu: CpuState,
  memory: GuestMemory,
  decoder: InstructionDecoder,
  gpa: bigint,
  sizeBytes: bigint,
): PassedStore | undefined {
  const { regs, sregs } = cpu;
  const bitness = bitnessOf(sregs);
  for (let length = 1n; length <= MAX_INSTRUCTION_BYTES && length <= regs.rip; length++) {
    const start = translate(cpu, memory, linearRip(regs, sregs) - length);
    if (!start.mapped) break;
    const code = memory.tryRead(start.gpa, Number(length));
    for (const before of registersBefore(regs, sizeBytes)) {
      const state = { ...before, rip: regs.rip - length };
      const instruction = decoder.decode(code, bitness, state, sregs);
      if (instruction?.lengthBytes !== Number(length)) continue;
      const store = instruction.operands.find((operand) =>
        operand.access !== "read" && BigInt(operand.sizeBytes) >= sizeBytes &&
        leadsTo(cpu, memory, operand.gva, operand.sizeBytes, gpa)
      );
      if (store) return { instruction, rip: state.rip, gva: store.gva };
    }
  }
  return undefined;
}

/** The registers as they may have been: unchanged, or before a push moved the stack pointer. */
function registersBefore(regs: Regs, sizeBytes: bigint): Regs[] {
  return [regs, { ...regs, rsp: regs.rsp + sizeBytes }];
}

/** Whether an access covers the GPA: at its start, or where it enters another page. */
function leadsTo(
  cpu: CpuState,
  memory: GuestMemory,
  gva: bigint,
  sizeBytes: number,
  gpa: bigint,
): boolean {
  const starts = [gva, (gva + BigInt(sizeBytes) - 1n) & ~0xfffn].filter((at) => at >= gva);
  return starts.some((at) => {
    const result = translate(cpu, memory, at);
    return result.mapped && result.gpa === gpa;
  });
}
