/**
 * Guests that need more memory than the host has.
 *
 * @module
 */

import { SystemError } from "../../ffi/libc.ts";
import { hex } from "../hex.ts";

/** The host has too little memory for a guest: exit code 6. */
export class HostLimitError extends Error {
  override readonly name = "HostLimitError";
}

/**
 * Runs what allocates host memory.
 *
 * @param memoryBytes the guest's RAM, the largest part of it
 * @throws {HostLimitError} when the host has too little
 *
 * @example
 * ```ts
 * import { withinHostMemory } from "./host_limit.ts";
 * console.log(withinHostMemory(0x1000, () => new Uint8Array(0x1000).length)); // 4096
 * ```
 */
export function withinHostMemory<T>(memoryBytes: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "ENOMEM")) throw error;
    throw new HostLimitError(
      `the host has no room for a guest of ${hex(memoryBytes)} bytes (${error.message}); ` +
        "give it less with --memory",
    );
  }
}
