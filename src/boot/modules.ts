/**
 * Files that a guest gets besides the image (modules), and strings for the
 * guest: what the Multiboot and PVH loaders share.
 *
 * @module
 */

import { cString } from "../../ffi/libc.ts";
import { PAGE_BYTES } from "../pages.ts";
import { ImageError } from "./image.ts";
import type { BootModule, BootOptions, Placement } from "./plan.ts";

/** Modules stay out of the PC's low megabyte. */
const HIGH_MEMORY = 0x10_0000n;
/** The longest string, with its terminating zero; a longer one is taken for a mistake. */
const MAX_STRING_BYTES = 4096;

/** A module in guest memory. */
export interface PlacedModule {
  /** Its first byte. */
  readonly start: bigint;
  /** The address after its last byte. */
  readonly end: bigint;
  /** Its name and arguments, zero-terminated. */
  readonly text: Uint8Array;
}

/** Places modules after the kernel, each on its own pages. @throws {ImageError} */
export function placeModules(
  placement: Placement,
  modules: readonly BootModule[] = [],
): PlacedModule[] {
  return modules.map(({ name, bytes, arguments: given }) => {
    const start = modulePlace(placement);
    placement.put(`module ${name}`, start, bytes);
    const text = guestString("module name", given ? `${name} ${given}` : name);
    return { start, end: start + BigInt(bytes.length), text };
  });
}

/**
 * The next module's address: after everything below 4 GiB, above the low megabyte.
 *
 * @param alignment a power of two up to 4096; default 4096
 */
export function modulePlace(placement: Placement, alignment = BigInt(PAGE_BYTES)): bigint {
  const end = placement.endOfLowSegments(alignment);
  return end < HIGH_MEMORY ? HIGH_MEMORY : end;
}

/** The kernel's command line, zero-terminated. @throws {ImageError} as {@linkcode guestString} */
export function commandLineString(
  { commandLine = "" }: Pick<BootOptions, "commandLine">,
  maxBytes?: number,
): Uint8Array {
  return guestString("command line", commandLine, maxBytes, { remedy: "commandLine" });
}

/**
 * A zero-terminated string for the guest, in UTF-8.
 *
 * @param what what errors call it
 * @param maxBytes with the terminating zero
 * @throws {ImageError} when it is too long, or contains a zero
 */
export function guestString(
  what: string,
  text: string,
  maxBytes: number = MAX_STRING_BYTES,
  options: { readonly remedy?: "commandLine" } = {},
): Uint8Array {
  const bytes = cString(text);
  const fail = (why: string): never => {
    throw new ImageError(`the ${what} has ${why}`, options);
  };
  if (bytes.length > maxBytes) fail(`${bytes.length - 1} bytes; at most ${maxBytes - 1} fit`);
  const end = bytes.indexOf(0);
  if (end < bytes.length - 1) fail(`a zero byte at ${end}, where it would end`);
  return bytes;
}
