/**
 * Accesses to model-specific registers that KVM leaves to the VMM.
 *
 * @module
 */

import { KVM_MSR_EXIT_REASON } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_EXIT_OFFSET, KVM_RUN_MSR } from "../../ffi/kvm_run.ts";
import type { VmExit } from "../exits/exit.ts";
import { missingCapability } from "../kvm/unavailable.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";

/**
 * Answers for registers that KVM does not know, or whose value it refuses.
 *
 * @example
 * ```ts
 * import type { MsrHandler } from "./msr.ts";
 * const counter: MsrHandler = {
 *   name: "counter",
 *   read: (index) => index === 0x12345 ? 42n : undefined,
 *   write: () => false,
 * };
 * console.log(counter.read(0x12345, 0)); // 42n
 * ```
 */
export interface MsrHandler {
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
export const NO_MSRS: MsrHandler = {
  name: "none",
  read: () => undefined,
  write: () => false,
};

/** Where the answer goes in `kvm_run`. */
const ERROR_AT = KVM_RUN_EXIT_OFFSET + KVM_RUN_MSR.fields.error[0];
const DATA_AT = KVM_RUN_EXIT_OFFSET + KVM_RUN_MSR.fields.data[0];

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
 * Answers an access in `kvm_run`.
 *
 * @returns who answered, or `undefined` when the guest is given a #GP
 */
export function serveMsr(
  exit: VmExit,
  { area, id }: Pick<Vcpu, "area" | "id">,
  handler: MsrHandler,
): string | undefined {
  if (exit.reason !== "X86_RDMSR" && exit.reason !== "X86_WRMSR") return undefined;
  const answer = exit.reason === "X86_RDMSR"
    ? handler.read(exit.index, id)
    : handler.write(exit.index, exit.data, id);
  const refused = answer === undefined || answer === false;
  area[ERROR_AT] = refused ? 1 : 0;
  if (typeof answer === "bigint") {
    new DataView(area.buffer, area.byteOffset).setBigUint64(DATA_AT, answer, true);
  }
  return refused ? undefined : handler.name;
}
