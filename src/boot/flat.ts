/**
 * Flat images: bytes without a header, entered in real, protected or long mode.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { ImageError } from "./image.ts";
import { longEntry, protectedEntry, realEntry } from "./entry.ts";
import {
  type BootOptions,
  type BootPlan,
  type EntryState,
  Placement,
  unusedOptions,
} from "./plan.ts";

/** The flat boot protocols. */
export type FlatProtocol = "flat16" | "flat32" | "flat64";

/** Where firmware loads a boot sector; the stack grows down from here. */
const BOOT_SECTOR = 0x7c00n;
/** The first address above the PC's low megabyte. */
const HIGH_MEMORY = 0x10_0000n;
/** What DL holds when a PC boots from its first disk. */
const FIRST_DISK = 0x80n;

const MODES = {
  flat16: { text: "16-bit real mode", at: BOOT_SECTOR, reach: 1n << 16n },
  flat32: { text: "32-bit protected mode", at: HIGH_MEMORY, reach: 1n << 32n },
  flat64: { text: "64-bit long mode", at: HIGH_MEMORY, reach: 1n << 47n },
} as const;

/**
 * Plans the boot of a flat image.
 *
 * @throws {ImageError} when it is empty or does not fit into RAM
 */
export function planFlat(
  image: Uint8Array,
  protocol: FlatProtocol,
  options: BootOptions,
): BootPlan {
  if (image.length === 0) throw new ImageError("the image is empty");
  const { text, at, reach } = MODES[protocol];
  const gpa = options.loadAddress ?? at;
  const rip = options.entry ?? gpa;
  if (rip >= reach) {
    throw new ImageError(
      `entry ${hex(rip)} is out of reach of ${text}, which ends at ${hex(reach)}`,
      { remedy: "entry" },
    );
  }
  const placement = new Placement(options.ram, options.reserved);
  placement.putImage("image", gpa, image);
  return {
    protocol,
    description: `flat binary for ${text}`,
    entry: entryState(protocol, placement, rip),
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: [["size", image.length], ["load_address", hex(gpa)]],
    warnings: [],
    unused: unusedOptions(options, ["commandLine", "modules"]),
  };
}

function entryState(protocol: FlatProtocol, placement: Placement, rip: bigint): EntryState {
  switch (protocol) {
    case "flat16":
      return { ...realEntry(rip, BOOT_SECTOR), registers: { rdx: FIRST_DISK } };
    case "flat32":
      return protectedEntry(placement, rip);
    case "flat64":
      return longEntry(placement, rip);
  }
}
