/**
 * Histograms of exits: by reason, address, time and duration. The program computes them for the
 * whole trace, the page for the part that is in view.
 *
 * @module
 */

import type { Region } from "./regions.ts";
import { type Rows, spaceOf } from "./rows.ts";

/** Rows in ascending order. */
export type Selection = Uint32Array;

/** A part of the run's time, in tenths of a microsecond: `from` is in it, `to` is not. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** One bar of a histogram. */
export interface Bar {
  /** An index into a table of the rows; for pages, the page's number in hexadecimal. */
  readonly key: number | string;
  readonly count: number;
}

/** The most frequent values, and how many other exits and values there are. */
export interface Histogram {
  readonly bars: readonly Bar[];
  readonly total: number;
  readonly otherValues: number;
  readonly otherCount: number;
}

/** How long things took, in bins of a logarithmic scale; see {@linkcode durationOfBin}. */
export interface Durations {
  readonly bins: readonly number[];
  readonly count: number;
  /** Tenths of a microsecond. */
  readonly least: number;
  readonly most: number;
  readonly sum: number;
}

/** What happened in a region of guest memory. */
export interface RegionCounts {
  readonly mmio: number;
  readonly faults: number;
  /** Where in the region, as parts of {@linkcode MARKS}. */
  readonly faultMarks: readonly number[];
  readonly mmioMarks: readonly number[];
}

/** Everything that is drawn of a selection. */
export interface Aggregates {
  readonly range: TimeRange;
  /** How many bins of equal width the range has. */
  readonly bins: number;
  /** The vCPUs. */
  readonly cpus: readonly number[];
  /** Exits by vCPU, reason and bin, in that order: `((cpu * reasons) + reason) * bins + bin`. */
  readonly counts: ArrayLike<number>;
  readonly exits: number;
  readonly byReason: Histogram;
  readonly byPort: Histogram;
  readonly byPage: Histogram;
  readonly byRip: Histogram;
  /** From one exit of a vCPU to its next. */
  readonly between: Durations;
  readonly inGuest: Durations;
  readonly inVmm: Durations;
  readonly regions: readonly RegionCounts[];
}

/** How many values a histogram names. */
const TOP = 50;
const PAGE_BITS = 12n;
/** Bins of durations per decade, from a tenth of a microsecond on. */
const BINS_A_DECADE = 10;
const DURATION_BINS = 120;
/** In how many parts a region is divided to show where something happened. */
export const MARKS = 256;

/** Facts of the rows that do not depend on the selection. */
export interface Prepared {
  readonly rows: Rows;
  readonly cpus: readonly number[];
  /** By vCPU's number: its place in `cpus`. */
  readonly cpuPlace: Uint16Array;
  /** By row: tenths of a microsecond since the vCPU's exit before, or -1 at the first. */
  readonly gap: Float64Array;
  /** By row: how much of that was not in the guest, or -1 where it was not measured. */
  readonly vmm: Float64Array;
  readonly regions: readonly Region[];
  /** By address: the region that it is in, or -1. */
  readonly regionOf: Int32Array;
  readonly markOf: Uint16Array;
  /** By address: the place of its page in `pages`. */
  readonly pageOf: Uint32Array;
  readonly pages: readonly string[];
}

/** Works out what every selection needs. */
export function prepare(rows: Rows, regions: readonly Region[]): Prepared {
  const cpus = [...new Set(rows.cpu)].sort((a, b) => a - b);
  const cpuPlace = new Uint16Array((cpus.at(-1) ?? 0) + 1);
  cpus.forEach((cpu, place) => cpuPlace[cpu] = place);
  const gap = new Float64Array(rows.length);
  const vmm = new Float64Array(rows.length);
  const last = new Float64Array(cpus.length).fill(-1);
  for (let row = 0; row < rows.length; row++) {
    const place = cpuPlace[rows.cpu[row]!]!;
    const before = last[place]!;
    const time = rows.time[row]!;
    gap[row] = before < 0 ? -1 : time - before;
    // Both times are rounded: their difference may be slightly negative.
    vmm[row] = before < 0 || rows.guest[row] === 0
      ? -1
      : Math.max(0, time - before - (rows.guest[row]! - 1));
    last[place] = time;
  }
  const { addresses } = rows.tables;
  const regionOf = new Int32Array(addresses.length).fill(-1);
  const markOf = new Uint16Array(addresses.length);
  const pageOf = new Uint32Array(addresses.length);
  const pages: string[] = [];
  const pageIndex = new Map<bigint, number>();
  addresses.forEach((address, i) => {
    const region = regionAt(regions, address);
    regionOf[i] = region;
    if (region >= 0) {
      const { start, end } = regions[region]!;
      markOf[i] = Number((address - start) * BigInt(MARKS) / (end - start));
    }
    const page = address >> PAGE_BITS;
    let place = pageIndex.get(page);
    if (place === undefined) {
      pageIndex.set(page, place = pages.push((page << PAGE_BITS).toString(16)) - 1);
    }
    pageOf[i] = place;
  });
  return { rows, cpus, cpuPlace, gap, vmm, regions, regionOf, markOf, pageOf, pages };
}

/** The region that an address is in, or -1. Each begins where the one before ends. */
function regionAt(regions: readonly Region[], address: bigint): number {
  let low = 0;
  let high = regions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (regions[middle]!.end <= address) low = middle + 1;
    else high = middle;
  }
  return low < regions.length ? low : -1;
}

/** The first row that is not before a time. */
export function firstRowAt(rows: Rows, time: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows.time[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Of a selection the row whose time is the nearest; `undefined` where nothing is selected. */
export function nearestRow(rows: Rows, selection: Selection, time: number): number | undefined {
  let low = 0;
  let high = selection.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows.time[selection[middle]!]! < time) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [selection[low - 1], selection[low]];
  if (before === undefined || after === undefined) return before ?? after;
  return time - rows.time[before]! < rows.time[after]! - time ? before : after;
}

/** The time of a whole trace. */
export function wholeRange(rows: Rows): TimeRange {
  const from = rows.length === 0 ? 0 : rows.time[0]!;
  return { from, to: rows.length === 0 ? 1 : rows.time[rows.length - 1]! + 1 };
}

/** All rows. */
export function everyRow(rows: Rows): Selection {
  const selection = new Uint32Array(rows.length);
  for (let row = 0; row < selection.length; row++) selection[row] = row;
  return selection;
}

/**
 * Computes all histograms of a selection.
 *
 * @param selection rows within the range
 * @param bins how many bins of time
 */
export function aggregate(
  prepared: Prepared,
  selection: Selection,
  range: TimeRange,
  bins: number,
): Aggregates {
  const { rows, cpus, cpuPlace, gap, vmm, regionOf, markOf, pageOf, pages } = prepared;
  const { reasons, addresses, rips } = rows.tables;
  const counts = new Uint32Array(cpus.length * reasons.length * bins);
  const byReason = new Uint32Array(reasons.length);
  const byPort = new Uint32Array(addresses.length);
  const byPage = new Uint32Array(pages.length);
  const byRip = new Uint32Array(rips.length);
  const between = new DurationCounter();
  const inGuest = new DurationCounter();
  const inVmm = new DurationCounter();
  const regions = prepared.regions.map(() => new RegionCounter());
  const isPort = reasons.map(({ name }) => spaceOf(name) === "port");
  const isMmio = reasons.map(({ name }) => name === "MMIO");
  const isFault = reasons.map(({ name }) => name === "MEMORY_FAULT");
  const scale = bins / (range.to - range.from);
  for (let i = 0; i < selection.length; i++) {
    const row = selection[i]!;
    const reason = rows.reason[row]!;
    const bin = Math.min(bins - 1, Math.floor((rows.time[row]! - range.from) * scale));
    counts[(cpuPlace[rows.cpu[row]!]! * reasons.length + reason) * bins + bin]!++;
    byReason[reason]!++;
    byRip[rows.rip[row]!]!++;
    between.add(gap[row]!);
    inGuest.add(rows.guest[row]! - 1);
    inVmm.add(vmm[row]!);
    const address = rows.address[row]!;
    if (address === 0) continue;
    if (isPort[reason]) {
      byPort[address]!++;
      continue;
    }
    const mmio = isMmio[reason]!;
    if (mmio) byPage[pageOf[address]!]!++;
    if (mmio || isFault[reason]) regions[regionOf[address]!]?.add(mmio, markOf[address]!);
  }
  byRip[0] = 0;
  return {
    range,
    bins,
    cpus,
    counts,
    exits: selection.length,
    byReason: histogram(byReason, (i) => i),
    byPort: histogram(byPort, (i) => i),
    byPage: histogram(byPage, (i) => pages[i]!),
    byRip: histogram(byRip, (i) => i),
    between: between.finish(),
    inGuest: inGuest.finish(),
    inVmm: inVmm.finish(),
    regions: regions.map((region) => region.finish()),
  };
}

function histogram(counts: Uint32Array, key: (index: number) => number | string): Histogram {
  const found: number[] = [];
  let total = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue;
    found.push(i);
    total += counts[i]!;
  }
  found.sort((a, b) => counts[b]! - counts[a]! || a - b);
  const bars = found.slice(0, TOP).map((i) => ({ key: key(i), count: counts[i]! }));
  const named = bars.reduce((sum, { count }) => sum + count, 0);
  return { bars, total, otherValues: found.length - bars.length, otherCount: total - named };
}

function binOf(tenths: number): number {
  if (tenths < 1) return 0;
  return Math.min(DURATION_BINS - 1, Math.floor(Math.log10(tenths) * BINS_A_DECADE));
}

/** Nearly all durations are short, and a million logarithms take their time. */
const SHORT_BINS = Uint8Array.from({ length: 1 << 16 }, (_, tenths) => binOf(tenths));

class DurationCounter {
  readonly #bins = new Array<number>(DURATION_BINS).fill(0);
  #count = 0;
  #least = Infinity;
  #most = 0;
  #sum = 0;

  add(tenths: number): void {
    if (tenths < 0) return;
    this.#bins[SHORT_BINS[tenths] ?? binOf(tenths)]!++;
    this.#count++;
    this.#sum += tenths;
    if (tenths < this.#least) this.#least = tenths;
    if (tenths > this.#most) this.#most = tenths;
  }

  finish(): Durations {
    return {
      bins: this.#bins,
      count: this.#count,
      least: this.#count === 0 ? 0 : this.#least,
      most: this.#most,
      sum: this.#sum,
    };
  }
}

class RegionCounter {
  readonly #faultMarks = new Set<number>();
  readonly #mmioMarks = new Set<number>();
  #mmio = 0;
  #faults = 0;

  add(mmio: boolean, mark: number): void {
    if (mmio) this.#mmio++;
    else this.#faults++;
    (mmio ? this.#mmioMarks : this.#faultMarks).add(mark);
  }

  finish(): RegionCounts {
    return {
      mmio: this.#mmio,
      faults: this.#faults,
      faultMarks: [...this.#faultMarks],
      mmioMarks: [...this.#mmioMarks],
    };
  }
}

/** Where a bin of durations begins, in tenths of a microsecond. */
export function durationOfBin(bin: number): number {
  return 10 ** (bin / BINS_A_DECADE);
}

/** The duration that a part of all do not exceed, as exact as the bins are. */
export function quantile({ bins, count, least, most }: Durations, part: number): number {
  let left = Math.max(1, Math.ceil(count * part));
  for (let bin = 0; bin < bins.length; bin++) {
    const inBin = bins[bin]!;
    if (inBin >= left) {
      const within = durationOfBin(bin + (left - 0.5) / inBin);
      return Math.min(most, Math.max(least, within));
    }
    left -= inBin;
  }
  return most;
}
