/**
 * Finds the store that KVM has already stepped past: when its instruction emulator
 * exits with MMIO for a store, RIP is behind the instruction that faulted.
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
import { pagePieces } from "../pages.ts";
import { type CpuState, type ProbedMemory, translate } from "./locate.ts";

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
  memory: ProbedMemory,
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
  memory: ProbedMemory,
  gva: bigint,
  sizeBytes: number,
  gpa: bigint,
): boolean {
  for (const { address } of pagePieces(gva, sizeBytes)) {
    const result = translate(cpu, memory, address);
    if (result.mapped && result.gpa === gpa) return true;
  }
  return false;
}
