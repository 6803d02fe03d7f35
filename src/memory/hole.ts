/**
 * Holes: ranges of RAM made bad on purpose, to see how a guest and its VMM cope.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { PAGE_BYTES } from "../pages.ts";
import { isRam, type RamRange } from "./ram.ts";

/**
 * What is wrong with a range.
 *
 * - `none`: the host memory has no access rights (PROT_NONE)
 * - `unmapped`: no host memory (munmap)
 * - `readonly`: the host memory is read-only (PROT_READ)
 * - `truncated`: the host memory maps a file that ends before it
 * - `gmem`: a separate slot, on a guest_memfd that was closed
 * - `private`: the private attribute without a guest_memfd
 * - `noslot`: no memory slot, so that accesses are MMIO
 * - `romslot`: a read-only memory slot, so that writes are MMIO
 * - `lazy`: missing until the first touch supplies it
 */
export const HOLE_KINDS = [
  "none",
  "unmapped",
  "readonly",
  "truncated",
  "gmem",
  "private",
  "noslot",
  "romslot",
  "lazy",
] as const;

/** One of {@linkcode HOLE_KINDS}. */
export type HoleKind = typeof HOLE_KINDS[number];

/** What backs a lazy hole. */
export interface PageSource {
  /** What messages call it. */
  readonly name: string;
  /**
   * Reads as much as there is; the rest of `into` stays zero.
   *
   * @throws when it cannot be read
   */
  read(offset: number, into: Uint8Array): void;
}

/** A bad range of RAM. */
export interface Hole {
  /** Its first guest physical address, page-aligned. */
  readonly gpa: number;
  /** Whole pages. */
  readonly sizeBytes: number;
  /** What is wrong with it. */
  readonly kind: HoleKind;
  /** What a `lazy` hole is filled with. Default: zeros. */
  readonly source?: PageSource;
  /** The source's offset at the hole's start, in bytes. Default 0. */
  readonly sourceOffset?: number;
  /** Whether the first touch binds a `gmem` hole to a new guest_memfd. */
  readonly rebind?: boolean;
}

/** An impossible hole, and why it is. */
export class HoleError extends Error {
  /** Its name. */
  override readonly name = "HoleError";
}

/** The parts of a hole as text; see {@linkcode holeParts}. */
export interface HoleParts {
  readonly gpa: string;
  readonly size: string;
  readonly kind: string;
  /** What follows the kind. */
  readonly more: string | undefined;
}

/** Splits `GPA+SIZE:KIND` or `GPA+SIZE:KIND:MORE`. @returns `undefined` for any other text */
export function holeParts(text: string): HoleParts | undefined {
  const match = /^([^+:]+)\+([^:]+):([^:]*)(?::(.*))?$/s.exec(text);
  return match ? { gpa: match[1]!, size: match[2]!, kind: match[3]!, more: match[4] } : undefined;
}

/** A hole in the command line's notation. */
export function holeText({ gpa, sizeBytes, kind, rebind }: Hole): string {
  return `${hex(gpa)}+${hex(sizeBytes)}:${kind}${rebind ? ":lazy" : ""}`;
}

/**
 * Checks that holes lie in RAM, and cuts those that span the device hole below
 * 4 GiB at its edges.
 *
 * @returns the pieces in ascending order, each within one range of RAM
 * @throws {HoleError} for a hole that is empty, unaligned, outside RAM or overlaps another, and
 *   for kinds that exclude each other
 *
 * @example
 * ```ts
 * import { cutHoles } from "./hole.ts";
 * const ram = [{ gpa: 0, sizeBytes: 0x100000 }];
 * console.log(cutHoles(ram, [{ gpa: 0x1000, sizeBytes: 0x1000, kind: "none" }]).length); // 1
 * ```
 */
export function cutHoles(ram: readonly RamRange[], holes: readonly Hole[]): Hole[] {
  checkKinds(holes);
  const pieces = holes.flatMap((hole) => {
    checkHole(ram, hole);
    return ram.flatMap((range) => {
      const start = Math.max(hole.gpa, range.gpa);
      const end = Math.min(hole.gpa + hole.sizeBytes, range.gpa + range.sizeBytes);
      if (start >= end) return [];
      const sourceOffset = (hole.sourceOffset ?? 0) + start - hole.gpa;
      return [{ ...hole, gpa: start, sizeBytes: end - start, sourceOffset }];
    });
  });
  pieces.sort((a, b) => a.gpa - b.gpa);
  for (let i = 1; i < pieces.length; i++) {
    const [before, after] = [pieces[i - 1]!, pieces[i]!];
    if (before.gpa + before.sizeBytes > after.gpa) {
      throw new HoleError(`the holes ${holeText(before)} and ${holeText(after)} overlap`);
    }
  }
  return pieces;
}

/** KVM gives a VM with private memory no guest_memfd whose pages are shared to begin with. */
function checkKinds(holes: readonly Hole[]): void {
  const kinds = holes.map(({ kind }) => kind);
  if (!kinds.includes("gmem") || !kinds.includes("private")) return;
  throw new HoleError("holes of the kinds gmem and private exclude each other in one machine");
}

function checkHole(ram: readonly RamRange[], hole: Hole): void {
  const { gpa, sizeBytes } = hole;
  const text = holeText(hole);
  if (sizeBytes <= 0) throw new HoleError(`the hole ${text} has no size`);
  if (gpa % PAGE_BYTES !== 0 || sizeBytes % PAGE_BYTES !== 0) {
    throw new HoleError(`the hole ${text} is not made of whole pages of ${hex(PAGE_BYTES)}`);
  }
  const inside = (at: number): boolean => isRam(ram, at, PAGE_BYTES);
  if (!inside(gpa) || !inside(gpa + sizeBytes - PAGE_BYTES)) {
    const ends = ram.map((r) => `${hex(r.gpa)}..${hex(r.gpa + r.sizeBytes)}`).join(", ");
    throw new HoleError(`the hole ${text} is not within guest RAM (${ends})`);
  }
}
