/**
 * vmexit as a library: machines that boot images and show their exits, with the
 * KVM objects under them for whoever wants to go deeper.
 *
 * @example
 * ```ts
 * import { Machine, planBoot } from "./mod.ts";
 * using machine = new Machine({ memoryBytes: 1 << 20 });
 * const halt = new Uint8Array([0xf4]);
 * machine.boot(planBoot(halt, "", "flat16", { ram: machine.memory.ranges }));
 * console.log(machine.runFor(1000)); // { kind: "halt" }
 * ```
 *
 * @module
 */

export { planBoot } from "./boot/detect.ts";
export { ImageError } from "./boot/image.ts";
export type { BootOptions, BootPlan, BootProtocol } from "./boot/plan.ts";
export type { ByteSink, Device } from "./devices/device.ts";
export { ExitDecoder, exitReasonName } from "./exits/decode.ts";
export { details, detailsJson, detailsText } from "./exits/describe.ts";
export type * from "./exits/exit.ts";
export { Kvm } from "./kvm/kvm.ts";
export { RunResult } from "./kvm/run_result.ts";
export { KvmUnavailableError } from "./kvm/unavailable.ts";
export type { Regs, Sregs, Vcpu } from "./kvm/vcpu.ts";
export type { Vm } from "./kvm/vm.ts";
export { Machine, type MachineOptions } from "./machine/machine.ts";
export type { MsrHandler } from "./machine/msr.ts";
export { describeOutcome, exitCodeOf, type Outcome } from "./machine/outcome.ts";
export type { ExitObserver } from "./machine/run_loop.ts";
export type { MemoryFault } from "./memory/fault.ts";
export { type GuestMemory, GuestMemoryError } from "./memory/guest_memory.ts";
export { type Hole, HoleError, type HoleKind } from "./memory/hole.ts";
export type { FaultAction, FaultResolver, Resolution } from "./memory/resolve.ts";
export type { CpuFeatures } from "./x86/cpu_features.ts";
