/**
 * Names the instruction that KVM's instruction emulator could not run.
 *
 * @module
 */

import type { VmExit } from "../exits/exit.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { bitnessOf, decoder } from "../x86/instruction.ts";

/**
 * The instruction of a failed emulation, where KVM gave its bytes.
 *
 * @param vcpu the vCPU, whose mode decides what the bytes mean
 * @returns in Intel syntax; `undefined` where there are no bytes, or they are no instruction
 *
 * @example
 * ```ts
 * import { VirtualMachine } from "../machine/machine.ts";
 * import { failedInstruction } from "./failed_instruction.ts";
 * using machine = new VirtualMachine({ memoryBytes: 2 << 20 });
 * const instructionBytes = Uint8Array.of(0xdb, 0xe3);
 * const exit = { reason: "INTERNAL_ERROR", code: 17, suberror: 1, data: [], instructionBytes } as const;
 * console.log(failedInstruction(exit, machine.vcpu)); // fninit
 * ```
 */
export function failedInstruction(
  exit: VmExit,
  vcpu: Pick<Vcpu, "regs" | "sregs">,
): string | undefined {
  if (exit.reason !== "INTERNAL_ERROR" || !exit.instructionBytes) return undefined;
  const sregs = vcpu.sregs();
  return decoder().decode(exit.instructionBytes, bitnessOf(sregs), vcpu.regs())?.text;
}
