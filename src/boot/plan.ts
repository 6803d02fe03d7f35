/**
 * A boot plan: what goes where in guest memory, and the state in which the
 * processor starts. A loader turns an image into a plan without touching a
 * guest; {@linkcode enter} carries the plan out.
 *
 * @module
 */

import type { Json } from "../exits/describe.ts";
import { MAX_MAP_ENTRIES, type MemoryMapEntry, pcMemoryMap } from "../firmware/memory_map.ts";
import type { FirmwareOptions } from "../firmware/tables.ts";
import { hex } from "../hex.ts";
import { isRam, PAGE_BYTES, type RamRange } from "../memory/ram.ts";
import { ImageError } from "./image.ts";

/**
 * The boot protocols that an image can be booted by. `linux` is whichever of its
 * three entries fits best, `multiboot` is version 1 or else version 2.
 */
export const BOOT_PROTOCOLS = [
  "flat16",
  "flat32",
  "flat64",
  "elf",
  "multiboot",
  "multiboot2",
  "pvh",
  "linux",
  "linux:16",
  "linux:32",
  "linux:64",
] as const;

/** One of {@linkcode BOOT_PROTOCOLS}. */
export type BootProtocol = typeof BOOT_PROTOCOLS[number];

/** A file that is handed to the guest beside the image. */
export interface BootModule {
  /** What the guest is told it is called, where it is told. */
  readonly name: string;
  /** Its content. */
  readonly bytes: Uint8Array;
}

/** What to boot an image with. */
export interface BootOptions extends FirmwareOptions {
  /** Guest RAM, in ascending order. */
  readonly ram: readonly RamRange[];
  /** Random bytes for a kernel that takes a seed from its loader. */
  readonly rngSeed?: Uint8Array;
  /** The kernel that was unpacked from a bzImage, to be booted in its place. */
  readonly payload?: Uint8Array;
  /** The kernel's command line. */
  readonly commandLine?: string;
  /** Files for the guest: an initial RAM disk, Multiboot modules. */
  readonly modules?: readonly BootModule[];
  /** Where a flat image is loaded. */
  readonly loadAddress?: bigint;
  /** Where a flat image is entered. */
  readonly entry?: bigint;
}

/** Bytes for guest memory. */
export interface Segment {
  readonly name: string;
  readonly gpa: bigint;
  readonly bytes: Uint8Array;
  /** How much memory it takes: `bytes` and zeros behind them. */
  readonly sizeBytes: number;
}

/** A range of guest memory that something was put into. */
export type LoadedRange = Omit<Segment, "bytes">;

/** What a plan puts where in ascending order, neighbours of one name as one: page tables, say. */
export function loadedRanges(segments: readonly LoadedRange[]): LoadedRange[] {
  const merged: { name: string; gpa: bigint; sizeBytes: number }[] = [];
  for (const { name, gpa, sizeBytes } of segments.toSorted((a, b) => a.gpa < b.gpa ? -1 : 1)) {
    const last = merged.at(-1);
    if (last?.name === name && last.gpa + BigInt(last.sizeBytes) === gpa) {
      last.sizeBytes += sizeBytes;
    } else {
      merged.push({ name, gpa, sizeBytes });
    }
  }
  return merged;
}

/** The state in which the processor starts. */
export interface EntryState {
  /** Real mode, protected mode without paging, or long mode. */
  readonly mode: "real" | "protected" | "long";
  readonly rip: bigint;
  readonly rsp: bigint;
  /** Further general registers; the others are 0. */
  readonly registers?: Readonly<Partial<Record<"rax" | "rbx" | "rdx" | "rsi", bigint>>>;
  /** What CS and the other segment registers hold; RIP counts from CS's base. */
  readonly selectors: { readonly code: number; readonly data: number };
  /** The global descriptor table, except in real mode. */
  readonly gdt?: { readonly base: bigint; readonly limit: number };
  /** The page tables' root, in long mode. */
  readonly cr3?: bigint;
}

/** The linear address of the first instruction. */
export function entryAddress({ mode, rip, selectors }: EntryState): bigint {
  return mode === "real" ? (BigInt(selectors.code) << 4n) + rip : rip;
}

/** A field of an image or of what is made for it, for `inspect`, and what it says. */
export type Fact = readonly [name: string, value: Json, meaning?: string];

/** A memory map as `inspect` shows it. */
export function mapFact(name: string, map: readonly MemoryMapEntry[]): Fact {
  return [
    name,
    map.map(({ gpa, sizeBytes, type }) => ({ base: hex(gpa), size: hex(sizeBytes), type })),
  ];
}

/** An option that some protocols have no use for. */
export type UnusedOption = "commandLine" | "modules" | "loadAddress" | "entry";

/** What is to be done to boot an image. */
export interface BootPlan {
  readonly protocol: BootProtocol;
  /** The image in a few words: `ELF64 executable for x86-64`. */
  readonly description: string;
  readonly segments: readonly Segment[];
  readonly entry: EntryState;
  /** What memory is, in ascending order: the tables and all reserved ranges are in it. */
  readonly memoryMap: readonly MemoryMapEntry[];
  readonly facts: readonly Fact[];
  /** What the image asks for and does not get. */
  readonly warnings: readonly string[];
  /** Options that were given and have no meaning for the image. */
  readonly unused: readonly UnusedOption[];
}

/** Tables made for an image go below this address if they fit. */
const LOW_TABLES = { start: 0x1000n, end: 0x7000n } as const;
const PAGE = BigInt(PAGE_BYTES);

/**
 * Keeps track of what is where in guest memory while a plan is made.
 */
export class Placement {
  readonly segments: Segment[] = [];
  #tablesStart: number;

  readonly #reserved: readonly MemoryMapEntry[];

  /** @param reserved where nothing may be put */
  constructor(readonly ram: readonly RamRange[], reserved: readonly MemoryMapEntry[] = []) {
    this.#reserved = reserved;
    this.#tablesStart = ram[0]!.sizeBytes;
  }

  /** Where tables at the end of RAM below 4 GiB begin: the end of that RAM if there are none. */
  get tablesStart(): number {
    return this.#tablesStart;
  }

  /** The memory map, the tables that were placed so far and all reserved ranges in it. */
  memoryMap(): MemoryMapEntry[] {
    return pcMemoryMap(this.ram, this.#tablesStart, this.#reserved);
  }

  /** How many entries the memory map has at most, wherever tables go. */
  get maxMapEntries(): number {
    return MAX_MAP_ENTRIES + 2 * this.#reserved.length;
  }

  /**
   * Puts bytes at an address.
   *
   * @param sizeBytes the memory it takes; the rest is zeros
   * @throws {ImageError} when that is not RAM or not free
   */
  put(name: string, gpa: bigint, bytes: Uint8Array, sizeBytes = bytes.length): void {
    if (sizeBytes === 0) return;
    if (!isRam(this.ram, gpa, sizeBytes)) {
      const ends = this.ram.map((r) => `${hex(r.gpa)}..${hex(r.gpa + r.sizeBytes)}`).join(", ");
      throw new ImageError(
        `${name} at [${hex(gpa)}, +${hex(sizeBytes)}) is not within guest RAM (${ends})`,
        { remedy: "memory" },
      );
    }
    const other = this.#overlap(gpa, BigInt(sizeBytes));
    if (other) {
      throw new ImageError(
        `${name} at [${hex(gpa)}, +${hex(sizeBytes)}) overlaps ${other.name} ` +
          `at [${hex(other.gpa)}, +${hex(other.sizeBytes)})`,
      );
    }
    this.segments.push({ name, gpa, bytes, sizeBytes });
  }

  /**
   * Finds free pages for tables: below 0x7000, else at the end of RAM below 4 GiB.
   *
   * @throws {ImageError} when there is no room
   */
  findPages(name: string, sizeBytes: number): bigint {
    const size = (BigInt(sizeBytes) + PAGE - 1n) & ~(PAGE - 1n);
    const lowEnd = BigInt(this.ram[0]!.sizeBytes);
    const end = lowEnd < LOW_TABLES.end ? lowEnd : LOW_TABLES.end;
    for (let gpa = LOW_TABLES.start; gpa + size <= end; gpa += PAGE) {
      if (!this.#overlap(gpa, size)) return gpa;
    }
    const gpa = this.findBelow(lowEnd, size, LOW_TABLES.end);
    if (gpa === undefined) {
      throw new ImageError(
        `no room in guest RAM for ${name} (${hex(size)} bytes)`,
        { remedy: "memory" },
      );
    }
    this.#tablesStart = Math.min(this.#tablesStart, Number(gpa));
    return gpa;
  }

  /**
   * The highest free pages that end at or below an address, in RAM below 4 GiB.
   *
   * @param floor they do not start below here
   * @returns their address, or `undefined` where there are none
   */
  findBelow(end: bigint, sizeBytes: bigint, floor: bigint): bigint | undefined {
    const lowEnd = BigInt(this.ram[0]!.sizeBytes);
    for (let gpa = ((end < lowEnd ? end : lowEnd) - sizeBytes) & ~(PAGE - 1n); gpa >= floor;) {
      const other = this.#overlap(gpa, sizeBytes);
      if (!other) return gpa;
      gpa = (other.gpa - sizeBytes) & ~(PAGE - 1n);
    }
    return undefined;
  }

  /** Puts bytes wherever tables go. @returns the address */
  putTable(name: string, bytes: Uint8Array): bigint {
    const gpa = this.findPages(name, bytes.length);
    this.put(name, gpa, bytes);
    return gpa;
  }

  /** Whether something was put where this address is. */
  holds(gpa: bigint): boolean {
    return this.segments.some((s) => gpa >= s.gpa && gpa < s.gpa + BigInt(s.sizeBytes));
  }

  /**
   * The first page boundary behind everything that lies below 4 GiB.
   *
   * @param alignment another boundary than a page's: a power of two, or 0
   */
  endOfLowSegments(alignment = PAGE): bigint {
    let end = 0n;
    for (const { gpa, sizeBytes } of this.segments) {
      const last = gpa + BigInt(sizeBytes);
      if (gpa < 1n << 32n && last > end) end = last;
    }
    return alignment === 0n ? end : (end + alignment - 1n) & ~(alignment - 1n);
  }

  #overlap(gpa: bigint, sizeBytes: bigint): Omit<Segment, "bytes"> | undefined {
    const overlaps = (other: { gpa: bigint | number; sizeBytes: number }): boolean =>
      gpa < BigInt(other.gpa) + BigInt(other.sizeBytes) && BigInt(other.gpa) < gpa + sizeBytes;
    const reserved = this.#reserved.find(overlaps);
    if (reserved) return { ...reserved, name: "reserved memory", gpa: BigInt(reserved.gpa) };
    return this.segments.find(overlaps);
  }
}

/** Those of the named options that were given, for protocols that have no use for them. */
export function unusedOptions(
  options: BootOptions,
  names: readonly UnusedOption[],
): UnusedOption[] {
  return names.filter((name) => {
    const given = options[name];
    return given !== undefined && (typeof given === "bigint" || given.length > 0);
  });
}
