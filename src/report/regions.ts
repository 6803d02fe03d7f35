/**
 * Guest physical memory as a list of regions: slots, holes, MMIO, faults, and the gaps between.
 *
 * @module
 */

import { PAGE_BYTES, pageOf } from "../pages.ts";
import type { BeginRecord } from "../trace/records.ts";
import { type Rows, spaceOf } from "./rows.ts";

/** A part of guest physical memory. */
export interface Region {
  readonly start: bigint;
  /** Where it ends, exclusive. */
  readonly end: bigint;
  /** `ram`, `rom`, `gmem`, `private`: a slot; `hole`, `mmio`, `fault`, or `gap`. */
  readonly kind: string;
  /** What the page calls it. */
  readonly label: string;
}

const PAGE = BigInt(PAGE_BYTES);
/** Touched pages that are closer than this are one region. */
const NEAR_BYTES = 64n * 1024n;
const MAX_REGIONS = 64;

const SLOTS: Readonly<Record<string, string>> = {
  ram: "RAM",
  rom: "read-only memory",
  gmem: "guest_memfd",
  private: "private memory",
};

const HOLES: Readonly<Record<string, string>> = {
  none: "hole: no access (PROT_NONE)",
  unmapped: "hole: no host memory",
  readonly: "hole: read-only host memory",
  truncated: "hole: past a file's end",
  gmem: "hole: closed guest_memfd",
  private: "hole: private guest_memfd",
  noslot: "hole: no slot",
  romslot: "hole: read-only slot",
  lazy: "hole: lazy",
};

/**
 * The regions of guest memory in ascending order, each beside the next, from 0
 * to the end of the last one that is more than a gap.
 *
 * @example
 * ```ts
 * import { TraceBuilder } from "./trace.ts";
 * import { regionsOf } from "./regions.ts";
 * const { rows } = new TraceBuilder().finish();
 * console.log(regionsOf(undefined, rows)); // []
 * ```
 */
export function regionsOf(begin: BeginRecord | undefined, rows: Rows): Region[] {
  const slots = begin?.slots ?? [];
  const known = overlay(
    slots.map((slot) => region(slot, slot.kind, SLOTS[slot.kind] ?? slot.kind)),
    (begin?.holes ?? []).map((hole) => region(hole, "hole", HOLES[hole.kind] ?? hole.kind)),
  );
  const touched = touchedPages(rows).filter(({ page }) =>
    !known.some(({ start, end }) => page >= start && page < end)
  );
  let near = NEAR_BYTES;
  let clusters = cluster(touched, near);
  while (clusters.length > MAX_REGIONS) clusters = cluster(touched, near *= 16n);
  return withGaps(clip([...known, ...clusters]));
}

function region(range: { gpa: string; size: string }, kind: string, label: string): Region {
  const start = BigInt(range.gpa);
  return { start, end: start + BigInt(range.size), kind, label };
}

/** Slots with the holes cut out of them. */
function overlay(slots: readonly Region[], holes: readonly Region[]): Region[] {
  const pieces = slots.flatMap((slot) => {
    const parts: Region[] = [];
    let at = slot.start;
    for (const { start, end } of holes.toSorted(ascending)) {
      if (end <= at || start >= slot.end) continue;
      if (start > at) parts.push({ ...slot, start: at, end: start });
      at = end;
    }
    if (at < slot.end) parts.push({ ...slot, start: at });
    return parts;
  });
  return clip([...pieces, ...holes]);
}

function ascending(a: Region, b: Region): number {
  return a.start < b.start ? -1 : a.start > b.start ? 1 : 0;
}

/** Sorted, without overlaps and empty regions. */
function clip(regions: readonly Region[]): Region[] {
  let at = 0n;
  return regions.toSorted(ascending).flatMap((region) => {
    const start = region.start > at ? region.start : at;
    if (start >= region.end) return [];
    at = region.end;
    return [{ ...region, start }];
  });
}

interface TouchedPage {
  readonly page: bigint;
  readonly kind: "mmio" | "fault";
}

/** The pages that exits touched, in ascending order. */
function touchedPages(rows: Rows): TouchedPage[] {
  const { reasons, addresses } = rows.tables;
  const kinds = reasons.map(({ name }) => spaceOf(name) !== "gpa" ? 0 : name === "MMIO" ? 1 : 2);
  const touched = new Uint8Array(addresses.length);
  for (let row = 0; row < rows.length; row++) {
    touched[rows.address[row]!]! |= kinds[rows.reason[row]!]!;
  }
  const pages = new Map<bigint, TouchedPage["kind"]>();
  addresses.forEach((address, i) => {
    if (i === 0 || touched[i] === 0) return;
    const page = pageOf(address);
    if (touched[i]! & 2) pages.set(page, "fault");
    else if (!pages.has(page)) pages.set(page, "mmio");
  });
  return [...pages].map(([page, kind]) => ({ page, kind }))
    .sort((a, b) => a.page < b.page ? -1 : 1);
}

function cluster(pages: readonly TouchedPage[], near: bigint): Region[] {
  const clusters: { start: bigint; end: bigint; kind: string; label: string }[] = [];
  for (const { page, kind } of pages) {
    const last = clusters.at(-1);
    if (last && last.kind === kind && page - last.end < near) last.end = page + PAGE;
    else {
      const label = kind === "mmio" ? "MMIO" : "faults";
      clusters.push({ start: page, end: page + PAGE, kind, label });
    }
  }
  return clusters;
}

function withGaps(regions: readonly Region[]): Region[] {
  let at = 0n;
  return regions.flatMap((region) => {
    const gap = { start: at, end: region.start, kind: "gap", label: "no slot" };
    at = region.end;
    return gap.start < gap.end ? [gap, region] : [region];
  });
}
