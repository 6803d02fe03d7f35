/**
 * The exit codes of the process: the one table that code, help and documentation share. A guest's
 * own code, by the debug-exit port, is always odd, and so all others are even.
 *
 * @module
 */

/** An exit code. */
export interface ExitCode {
  readonly code: number;
  /** What it means, as short as the help has it. */
  readonly meaning: string;
}

/**
 * All codes that vmexit itself chooses, by meaning.
 *
 * @example
 * ```ts
 * import { EXIT_CODES } from "./exit_codes.ts";
 * console.log(EXIT_CODES.memory_fault.code); // 20
 * ```
 */
export const EXIT_CODES = {
  success: { code: 0, meaning: "the guest ended well: final HLT, power-off, reset" },
  usage: { code: 2, meaning: "usage" },
  image: { code: 4, meaning: "image unreadable" },
  kvm_unavailable: { code: 6, meaning: "KVM unavailable" },
  bug: { code: 8, meaning: "a bug in vmexit" },
  output: { code: 10, meaning: "output cannot be written" },
  memory_fault: { code: 20, meaning: "memory fault" },
  shutdown: { code: 22, meaning: "triple fault" },
  internal_error: { code: 24, meaning: "KVM internal error, emulation failure" },
  fail_entry: { code: 26, meaning: "KVM could not enter the guest" },
  unhandled: { code: 28, meaning: "unhandled exit" },
  max_exits: { code: 30, meaning: "limit of exits reached" },
  run_failed: { code: 32, meaning: "KVM_RUN failed with another errno" },
  panic: { code: 34, meaning: "the guest panicked" },
  timeout: { code: 124, meaning: "timeout" },
  interrupted: { code: 130, meaning: "interrupted" },
} as const satisfies Readonly<Record<string, ExitCode>>;

/** What the odd codes mean. */
export const GUEST_CODES = "the guest wrote V to the debug-exit port (0xf4): (V << 1) | 1";
