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

export { KVM_EXIT } from "../ffi/kvm_consts.ts";
export { ImageError, type Remedy } from "./boot/image.ts";
export { BOOT_PROTOCOLS, type BootModule, type BootProtocol } from "./boot/plan.ts";
export { detailsText } from "./exits/describe.ts";
export type * from "./exits/exit.ts";
export { type CapabilityUser, type KvmCause, KvmUnavailableError } from "./kvm/unavailable.ts";
export type { Address } from "./lab/address.ts";
export { type AccessData, type Answerable, type Exit, UnansweredExitError } from "./lab/exit.ts";
export type { ExitInstruction } from "./lab/exit_instruction.ts";
export type {
  Access,
  AccessHandler,
  AddressRange,
  DebugHandler,
  HypercallHandler,
  MemoryFaultHandler,
  MsrHandler,
} from "./lab/handlers.ts";
export { Machine } from "./lab/machine.ts";
export type { AddressSpace, GuestRam } from "./lab/memory.ts";
export type { LoadOptions, MachineOptions, Output, RunLimits } from "./lab/options.ts";
export type { GuestVcpu as Vcpu } from "./lab/vcpu.ts";
export type * from "./lab/vcpu_state.ts";
export { describeOutcome, type Ending, exitCodeOf, type Outcome } from "./machine/outcome.ts";
export type { Attempt, Disguise, FaultShape, MemoryFault } from "./faults/fault.ts";
export { GuestMemoryError } from "./memory/guest_memory.ts";
export { type Hole, HOLE_KINDS, HoleError, type HoleKind, type PageSource } from "./memory/hole.ts";
export type { Candidate, CandidateKind, GuestAccess } from "./faults/candidate.ts";
export type { CpuState, PendingEvents } from "./faults/locate.ts";
export type { FaultAction } from "./faults/resolve.ts";
export type { PagingLevel, WalkStep } from "./x86/page_tables.ts";
export type * from "./x86/registers.ts";
