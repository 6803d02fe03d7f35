/**
 * Accesses to model-specific registers that KVM leaves to the VMM.
 *
 * @module
 */

import { KVM_MSR_EXIT_REASON } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { ExitPage } from "../kvm/exit_page.ts";
import { missingCapability } from "../kvm/unavailable.ts";
import type { Vm } from "../kvm/vm.ts";

/**
 * Answers for registers that KVM does not know, or whose value it refuses.
 *
 * @example
 * ```ts
 * import type { MsrDevice } from "./msr.ts";
 * const counter: MsrDevice = {
 *   name: "counter",
 *   read: (index) => index === 0x12345 ? 42n : undefined,
 *   write: () => false,
 * };
 * console.log(counter.read(0x12345, 0)); // 42n
 * ```
 */
export interface MsrDevice {
  /** Who answers, for the trace. */
  readonly name: string;
  /**
   * RDMSR.
   *
   * @param index the guest's ECX
   * @param cpu the vCPU
   * @returns the value, or `undefined` to give the guest a #GP
   */
  read(index: number, cpu: number): bigint | undefined;
  /**
   * WRMSR.
   *
   * @param value the guest's EDX:EAX
   * @returns whether the register takes the value; if not, the guest is given a #GP
   */
  write(index: number, value: bigint, cpu: number): boolean;
}

/** Answers for no register: the accesses are shown, and the guest gets its #GP all the same. */
export const NO_MSRS: MsrDevice = {
  name: "none",
  read: () => undefined,
  write: () => false,
};

/**
 * Makes accesses exits that would be a #GP: those to registers that KVM does not know,
 * with values that it refuses, or that its filter denies.
 *
 * @throws {KvmUnavailableError} when KVM cannot
 */
export function enableMsrExits(vm: Pick<Vm, "checkExtension" | "enableCap">): void {
  if (vm.checkExtension("X86_USER_SPACE_MSR") === 0) {
    throw missingCapability("X86_USER_SPACE_MSR", { what: "msr_exits" });
  }
  const { INVAL, UNKNOWN, FILTER } = KVM_MSR_EXIT_REASON;
  vm.enableCap("X86_USER_SPACE_MSR", BigInt(INVAL | UNKNOWN | FILTER));
}

/**
 * Replies to an access to a model-specific register.
 *
 * @param cpu the vCPU whose page it is
 * @returns the name of the device that answered, or `undefined` when the guest is given a #GP
 */
export function serveMsr(page: ExitPage, cpu: number, device: MsrDevice): string | undefined {
  const exit = decodeExit(page);
  if (exit.reason !== "X86_RDMSR" && exit.reason !== "X86_WRMSR") return undefined;
  const answer = exit.reason === "X86_RDMSR"
    ? device.read(exit.index, cpu)
    : device.write(exit.index, exit.data, cpu);
  if (answer === undefined || answer === false) {
    page.refuseMsr();
    return undefined;
  }
  page.acceptMsr(answer === true ? undefined : answer);
  return device.name;
}
