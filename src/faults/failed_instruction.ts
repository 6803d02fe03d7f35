/**
 * What KVM's instruction emulator could not run, by name.
 *
 * @module
 */

import type { Regs, Sregs } from "../kvm/vcpu.ts";
import { bitnessOf, type InstructionDecoder } from "../x86/instruction.ts";
import type { Outcome } from "../machine/outcome.ts";

/**
 * Adds the instruction's name to an outcome, where KVM gave its bytes and they
 * are an instruction.
 *
 * @param decoder decodes
 * @param regs the vCPU's registers at the end
 * @param sregs likewise
 *
 * @example
 * ```ts
 * import { Machine } from "../machine/machine.ts";
 * import { nameFailedInstruction } from "./failed_instruction.ts";
 * import { loadDecoder } from "../x86/instruction.ts";
 * using machine = new Machine({ memoryBytes: 2 << 20 });
 * const { vcpu } = machine;
 * const decoder = await loadDecoder();
 * const exit = {
 *   reason: "INTERNAL_ERROR",
 *   code: 17,
 *   suberror: 1,
 *   data: [],
 *   instruction: Uint8Array.of(0xdb, 0xe3),
 * } as const;
 * const outcome = { kind: "internal_error", exit } as const;
 * const named = nameFailedInstruction(outcome, decoder, vcpu.regs(), vcpu.sregs());
 * console.log(named.instruction); // fninit
 * ```
 */
export function nameFailedInstruction(
  outcome: Extract<Outcome, { kind: "internal_error" }>,
  decoder: InstructionDecoder,
  regs: Regs,
  sregs: Sregs,
): Extract<Outcome, { kind: "internal_error" }> {
  const { exit } = outcome;
  if (exit.reason !== "INTERNAL_ERROR" || !exit.instruction) return outcome;
  const instruction = decoder.decode(exit.instruction, bitnessOf(sregs), regs, sregs);
  return instruction ? { ...outcome, instruction: instruction.text } : outcome;
}
