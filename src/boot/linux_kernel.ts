/**
 * Places the protected-mode code of a Linux kernel, for all three entries
 * (Linux Documentation/arch/x86/boot.rst, "Loading The Rest of The Kernel").
 *
 * @module
 */

import { hex } from "../hex.ts";
import { isRam } from "../memory/ram.ts";
import { ImageError } from "./image.ts";
import type { LinuxHeader } from "./linux_header.ts";
import type { Placement } from "./plan.ts";

/** Where a bzImage that is not relocatable is loaded. */
const HIGH_MEMORY = 0x10_0000n;
const FOUR_GIB = 1n << 32n;

/**
 * Puts the protected-mode code of a bzImage at its preferred address, or else at
 * 1 MiB, with the memory after it that it needs to start.
 *
 * @throws {ImageError}
 */
export function placeKernel(
  placement: Placement,
  header: LinuxHeader,
): { readonly loadedAt: bigint; readonly warnings: string[] } {
  const { kernel, relocatable, kernelAlignment, prefAddress, initSize } = header;
  const needs = Math.max(kernel.length, initSize);
  const preferred = relocatable && prefAddress !== 0n &&
    prefAddress % BigInt(kernelAlignment) === 0n && prefAddress + BigInt(needs) <= FOUR_GIB &&
    isRam(placement.ram, prefAddress, needs);
  const loadedAt = preferred ? prefAddress : HIGH_MEMORY;
  const runsAt = relocatable
    ? alignUp(loadedAt, BigInt(kernelAlignment))
    : prefAddress || HIGH_MEMORY;
  if (runsAt < loadedAt) {
    throw new ImageError(
      `Linux setup header: pref_address ${hex(prefAddress)} is below ${hex(loadedAt)}, ` +
        "where the kernel is loaded",
    );
  }
  const end = runsAt + BigInt(initSize);
  const size = Math.max(kernel.length, Number(end - loadedAt));
  placement.put("Linux kernel", loadedAt, kernel, size);
  const warnings = relocatable && prefAddress !== 0n && !preferred
    ? [
      `the kernel prefers to be loaded at ${hex(prefAddress)} with ${hex(needs)} bytes of RAM ` +
      `there, and may not run at ${hex(loadedAt)}; give the guest more memory`,
    ]
    : [];
  return { loadedAt, warnings };
}

function alignUp(address: bigint, alignment: bigint): bigint {
  return (address + alignment - 1n) & ~(alignment - 1n);
}
