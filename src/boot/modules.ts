/**
 * Files that a guest is handed beside the image, and strings for it.
 *
 * @module
 */

import { PAGE_BYTES } from "../memory/ram.ts";
import { ImageError } from "./image.ts";
import type { BootModule, Placement } from "./plan.ts";

/** Modules do not go into the PC's low megabyte. */
const HIGH_MEMORY = 0x10_0000n;
/** A string longer than this, its end included, is a mistake. */
const MAX_STRING_BYTES = 4096;

/** A module in guest memory. */
export interface PlacedModule {
  /** Its first byte. */
  readonly start: bigint;
  /** The byte behind its last. */
  readonly end: bigint;
  /** Its name, zero-terminated. */
  readonly text: Uint8Array;
}

/** Puts modules behind the kernel, each on pages of its own. @throws {ImageError} */
export function placeModules(
  placement: Placement,
  modules: readonly BootModule[] = [],
): PlacedModule[] {
  return modules.map(({ name, bytes }) => {
    const start = modulePlace(placement);
    placement.put(`module ${name}`, start, bytes);
    return { start, end: start + BigInt(bytes.length), text: guestString("module name", name) };
  });
}

/**
 * Where the next module goes: behind everything below 4 GiB, above the low megabyte.
 *
 * @param alignment a power of two up to 4096; default 4096
 */
export function modulePlace(placement: Placement, alignment = BigInt(PAGE_BYTES)): bigint {
  const end = placement.endOfLowSegments(alignment);
  return end < HIGH_MEMORY ? HIGH_MEMORY : end;
}

/**
 * A zero-terminated string, in UTF-8.
 *
 * @param what what errors call it
 * @throws {ImageError} when it is too long, or has a zero of its own
 */
export function guestString(
  what: string,
  text: string,
  maxBytes: number = MAX_STRING_BYTES,
): Uint8Array {
  const bytes = new TextEncoder().encode(text + "\0");
  if (bytes.length > maxBytes) {
    throw new ImageError(`the ${what} has ${bytes.length - 1} bytes; at most ${maxBytes - 1} fit`);
  }
  if (bytes.indexOf(0) < bytes.length - 1) {
    throw new ImageError(`the ${what} has a zero byte at ${bytes.indexOf(0)}, where it would end`);
  }
  return bytes;
}
