/**
 * vmexit as a library: boot a small guest on KVM, look at its exits, answer them.
 *
 * @example
 * ```ts
 * import { Machine } from "./mod.ts";
 * using vm = Machine.create({ memory: "16M" });
 * vm.load(await Deno.readFile("images/hello.elf"));
 * for (const exit of vm.exits()) {
 *   if (exit.reason === "IO" && exit.port === 0x3f8) Deno.stdout.writeSync(exit.data);
 *   if (exit.reason === "HLT") break;
 * }
 * ```
 *
 * @module
 */

export { ImageError } from "./boot/image.ts";
export type { BootModule, BootProtocol } from "./boot/plan.ts";
export { details, type Detail, detailsText } from "./exits/describe.ts";
export type * from "./exits/exit.ts";
export { KvmUnavailableError } from "./kvm/unavailable.ts";
export { type Answerable, type Exit, UnansweredExitError } from "./lab/exit.ts";
export type * from "./lab/handlers.ts";
export { Machine } from "./lab/machine.ts";
export type { GuestRam, LoadOptions, MachineOptions, Output, RunLimits } from "./lab/options.ts";
export type {
  Registers,
  SegmentRegister,
  SystemRegisters,
  TableRegister,
} from "./lab/registers.ts";
export type { Vcpu } from "./lab/vcpu.ts";
export { describeOutcome, exitCodeOf, type Outcome } from "./machine/outcome.ts";
export type { MemoryFault } from "./memory/fault.ts";
export { GuestMemoryError } from "./memory/guest_memory.ts";
export { type Hole, HoleError, type HoleKind, type PageSource } from "./memory/hole.ts";
export type { FaultAction } from "./memory/resolve.ts";
