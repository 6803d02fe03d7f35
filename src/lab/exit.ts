/**
 * Exits as an experiment sees them: the decoded payload, and methods to answer it.
 *
 * @module
 */

import type { HypercallExit, IoExit, MmioExit, MsrExit, VmExit } from "../exits/exit.ts";
import { hex } from "../hex.ts";
import type { ExitInstruction } from "./exit_instruction.ts";
import type { GuestVcpu } from "./vcpu.ts";

/**
 * What every exit can do.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xe4, 0x10, 0xf4]), { protocol: "flat16" }); // in al, 0x10; hlt
 * for (const exit of vm.exits()) {
 *   if (exit.reason === "IO" && exit.direction === "in") exit.answer(42);
 * }
 * console.log(vm.vcpu.regs.rax & 0xffn); // 42n
 * ```
 */
export interface Answerable<T> {
  /** The vCPU that it happened on. */
  readonly vcpu: GuestVcpu;
  /** Whether it was answered. */
  readonly answered: boolean;
  /**
   * The instruction that exited, at its own RIP, although KVM's `rip` may already be past it;
   * after a single step, the next instruction. Decoded on first use. `undefined` if its bytes
   * cannot be read.
   *
   * @throws {Error} on first use after the guest has run on
   */
  readonly instruction: ExitInstruction | undefined;
  /**
   * Answers the exit: no handler and no device sees it.
   *
   * @param value what the guest reads, if it reads; data longer than the access is cut
   * @throws {TypeError} without a value where the guest reads
   * @throws {Error} when the guest has run on since
   */
  answer(value?: T): void;
  /**
   * Lets handlers and devices serve the exit now instead of when the loop continues, so that
   * their answer can be seen and changed in `data`.
   *
   * @throws {Error} when the guest has run on since
   */
  serve(): void;
}

/**
 * What an access reads: numbers are little-endian, and a port's number answers every item of
 * a string access.
 *
 * @example
 * ```ts
 * import type { AccessData } from "./exit.ts";
 * const answers: AccessData[] = [0x2a, 0x1122_3344_5566_7788n, new Uint8Array([1, 2])];
 * console.log(answers.length); // 3
 * ```
 */
export type AccessData = number | bigint | Uint8Array;

/**
 * One VM exit that has not been served, discriminated by `reason`. Its `data` is a view of KVM's
 * own buffer, valid until the loop continues: copy what you keep.
 *
 * @example
 * ```ts
 * import type { Exit } from "./exit.ts";
 * /** Answers every read of a port or of MMIO with zeros. *\/
 * function zeros(exit: Exit): void {
 *   if (exit.reason === "IO" && exit.direction === "in") exit.answer(0);
 *   if (exit.reason === "MMIO" && exit.direction === "read") exit.answer(0n);
 * }
 * console.log(typeof zeros); // "function"
 * ```
 */
export type Exit =
  | IoExit & Answerable<AccessData>
  | MmioExit & Answerable<AccessData>
  | HypercallExit & Answerable<number | bigint>
  | MsrExit & Answerable<number | bigint>
  | Exclude<VmExit, IoExit | MmioExit | HypercallExit | MsrExit> & Answerable<undefined>;

/**
 * An unanswered read: no loop over `exits()`, no handler and no device replied.
 * The exit is still pending: register a handler and run again.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * import { UnansweredExitError } from "./exit.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xe4, 0x10, 0xf4]), { protocol: "flat16" }); // in al, 0x10; hlt
 * try {
 *   vm.runSync();
 * } catch (error) {
 *   console.log(error instanceof UnansweredExitError); // true
 * }
 * ```
 */
export class UnansweredExitError extends Error {
  /** Its name. */
  override readonly name = "UnansweredExitError";

  /**
   * Says how to answer.
   *
   * @param exit what was not answered
   */
  constructor(readonly exit: VmExit) {
    super(
      `nothing answered ${what(exit)}: call exit.answer(value) in a loop over exits(), ` +
        `or register a handler that reads with ${exit.reason === "IO" ? "onPort" : "onMmio"}()`,
    );
  }
}

function what(exit: VmExit): string {
  const where = exit.rip === undefined ? "" : ` at rip=${hex(exit.rip)}`;
  if (exit.reason === "IO") return `the ${exit.size}-byte IN from port ${hex(exit.port)}${where}`;
  if (exit.reason === "MMIO") return `the ${exit.size}-byte read of GPA ${hex(exit.gpa)}${where}`;
  return `${exit.reason}${where}`;
}
