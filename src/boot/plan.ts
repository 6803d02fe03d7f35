/**
 * A boot plan: the contents of guest memory and the state in which the processor
 * starts. A loader turns an image into a plan without a guest; `enter` of entry.ts
 * carries it out. {@linkcode Placement} finds room while a plan is made.
 *
 * @module
 */

import { MAX_MAP_ENTRIES, type MemoryMapEntry, pcMemoryMap } from "../firmware/memory_map.ts";
import type { FirmwareOptions } from "../firmware/tables.ts";
import { hex } from "../hex.ts";
import { HIGH_RAM_START, isRam, LOW_RAM_END, MAX_RAM_BYTES, type RamRange } from "../memory/ram.ts";
import { PAGE_BYTES } from "../pages.ts";
import type { Json } from "../shape.ts";
import { ImageError } from "./image.ts";

/**
 * The boot protocols. `linux` picks the best of its three entries, `multiboot` is
 * version 1 or, without such a header, version 2.
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

/** Protocols that promise the image nothing but memory and a mode: no PC, no firmware. */
export const BARE_PROTOCOLS: readonly BootProtocol[] = ["flat16", "flat32", "flat64", "elf"];

/** A file for the guest besides the image. */
export interface BootModule {
  /** Its name, for protocols that hand it over. */
  readonly name: string;
  /** Its content. */
  readonly bytes: Uint8Array;
  /** Arguments for the module, which follow its name. */
  readonly arguments?: string;
}

/** The options of a boot. */
export interface BootOptions extends FirmwareOptions {
  /** Guest RAM, in ascending order. */
  readonly ram: readonly RamRange[];
  /** Random bytes for a kernel that takes a seed from its loader. */
  readonly rngSeed?: Uint8Array;
  /** The kernel unpacked from a bzImage, to boot in its place. */
  readonly payload?: Uint8Array;
  /** The image's name, which begins the command line of Multiboot 1 kernels. */
  readonly imageName?: string;
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
  /** How much memory it takes: `bytes` and zeros after them. */
  readonly sizeBytes: number;
}

/** A range of guest memory with an image's or a table's content. */
export type LoadedRange = Omit<Segment, "bytes">;

/** A plan's ranges in ascending order, adjacent ones with the same name merged. */
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
  /** Other general registers; those not named are 0. */
  readonly registers?: Readonly<Partial<Record<"rax" | "rbx" | "rdx" | "rsi", bigint>>>;
  /** The selectors in CS and the other segment registers; RIP is relative to CS's base. */
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

/** A field of an image or of its tables, with its value and meaning, for `inspect`. */
export type Fact = readonly [name: string, value: Json, meaning?: string];

/** A memory map, for `inspect`. */
export function mapFact(name: string, map: readonly MemoryMapEntry[]): Fact {
  return [
    name,
    map.map(({ gpa, sizeBytes, type }) => ({ base: hex(gpa), size: hex(sizeBytes), type })),
  ];
}

/** An option that some protocols have no use for. */
export type UnusedOption =
  | "commandLine"
  | "modules"
  | "moduleArguments"
  | "loadAddress"
  | "entry";

/** How to boot an image. */
export interface BootPlan {
  readonly protocol: BootProtocol;
  /** The image in a few words: `ELF64 executable for x86-64`. */
  readonly description: string;
  readonly segments: readonly Segment[];
  readonly entry: EntryState;
  /** The memory map in ascending order, with the tables and all reserved ranges. */
  readonly memoryMap: readonly MemoryMapEntry[];
  readonly facts: readonly Fact[];
  /** Requests of the image that are not met. */
  readonly warnings: readonly string[];
  /** Options that were given and have no meaning for the image. */
  readonly unused: readonly UnusedOption[];
}

/** Where tables made for an image go if they fit. */
const LOW_TABLES = { start: 0x1000n, end: 0x7000n } as const;
const PAGE = BigInt(PAGE_BYTES);
/** Where the largest guest's RAM ends. */
const MAX_RAM_END = BigInt(HIGH_RAM_START + MAX_RAM_BYTES - LOW_RAM_END);

/**
 * Guest memory while a plan is made: what lies where, and what is free.
 */
export class Placement {
  readonly segments: Segment[] = [];
  #tablesStart: number;

  readonly #reserved: readonly MemoryMapEntry[];

  /** @param reserved ranges to keep free */
  constructor(readonly ram: readonly RamRange[], reserved: readonly MemoryMapEntry[] = []) {
    this.#reserved = reserved;
    this.#tablesStart = ram[0]!.sizeBytes;
  }

  /** Where the tables at the end of RAM below 4 GiB begin; without any, that RAM's end. */
  get tablesStart(): number {
    return this.#tablesStart;
  }

  /** The memory map with the tables placed so far and all reserved ranges. */
  memoryMap(): MemoryMapEntry[] {
    return pcMemoryMap(this.ram, this.#tablesStart, this.#reserved);
  }

  /** The most entries that the memory map can have, wherever tables go. */
  get maxMapEntries(): number {
    return MAX_MAP_ENTRIES + 2 * this.#reserved.length;
  }

  /**
   * Puts bytes at an address.
   *
   * @param sizeBytes the memory that it takes, zeros after the bytes
   * @throws {ImageError} when that memory is not RAM or not free
   */
  put(name: string, gpa: bigint, bytes: Uint8Array, sizeBytes = bytes.length): void {
    if (sizeBytes === 0) return;
    this.#requireRam(name, gpa, sizeBytes);
    this.#requireFree(name, gpa, sizeBytes, this.#overlap(gpa, BigInt(sizeBytes)));
    this.segments.push({ name, gpa, bytes, sizeBytes });
  }

  /**
   * Puts a part of the image at an address. Its zeros may lie over another part's
   * bytes, which stay, and the whole over the firmware's data in reserved memory.
   *
   * @param sizeBytes the memory that it takes, zeros after the bytes
   * @throws {ImageError} when that memory is not RAM, or bytes differ where parts overlap
   */
  putImage(name: string, gpa: bigint, bytes: Uint8Array, sizeBytes = bytes.length): void {
    if (sizeBytes === 0) return;
    this.#requireRam(name, gpa, sizeBytes);
    const clash = this.segments.find((other) => differ({ gpa, bytes }, other));
    this.#requireFree(name, gpa, sizeBytes, clash);
    this.segments.push({ name, gpa, bytes, sizeBytes });
  }

  #requireRam(name: string, gpa: bigint, sizeBytes: number): void {
    if (isRam(this.ram, gpa, sizeBytes)) return;
    const end = gpa + BigInt(sizeBytes);
    const ranges = this.ram.map((r) => `${hex(r.gpa)}..${hex(r.gpa + r.sizeBytes)}`).join(", ");
    const message = `${name} at [${hex(gpa)}, +${
      hex(sizeBytes)
    }) is not within guest RAM (${ranges})`;
    if (end > MAX_RAM_END) {
      throw new ImageError(
        `${message}, which never reaches beyond ${hex(MAX_RAM_END)}: link or load the image ` +
          "elsewhere",
      );
    }
    if (gpa < BigInt(HIGH_RAM_START) && end > BigInt(LOW_RAM_END)) {
      throw new ImageError(
        `${message}, and ${hex(LOW_RAM_END)}..${hex(HIGH_RAM_START)} never is, which is for ` +
          "devices: link or load the image elsewhere",
      );
    }
    throw new ImageError(message, { remedy: "memory" });
  }

  #requireFree(
    name: string,
    gpa: bigint,
    sizeBytes: number,
    other: Omit<Segment, "bytes"> | undefined,
  ): void {
    if (!other) return;
    throw new ImageError(
      `${name} at [${hex(gpa)}, +${hex(sizeBytes)}) overlaps ${other.name} ` +
        `at [${hex(other.gpa)}, +${hex(other.sizeBytes)})`,
    );
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
   * @param floor the lowest address they may have
   * @returns their address, or `undefined` without room
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

  /** Puts a table into free memory. @returns its address */
  putTable(name: string, bytes: Uint8Array): bigint {
    const gpa = this.findPages(name, bytes.length);
    this.put(name, gpa, bytes);
    return gpa;
  }

  /** Whether an address lies in a segment. */
  holds(gpa: bigint): boolean {
    return this.segments.some((s) => gpa >= s.gpa && gpa < s.gpa + BigInt(s.sizeBytes));
  }

  /**
   * The first page boundary after everything that lies below 4 GiB.
   *
   * @param alignment a power of two, or 0 for none; default: a page
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

/** Whether two segments have different bytes for the same memory. */
function differ(a: Pick<Segment, "gpa" | "bytes">, b: Pick<Segment, "gpa" | "bytes">): boolean {
  const start = a.gpa > b.gpa ? a.gpa : b.gpa;
  const ends = [a, b].map(({ gpa, bytes }) => gpa + BigInt(bytes.length)) as [bigint, bigint];
  const end = ends[0] < ends[1] ? ends[0] : ends[1];
  if (end <= start) return false;
  const [inA, inB] = [Number(start - a.gpa), Number(start - b.gpa)];
  const isSameFile = a.bytes.buffer === b.bytes.buffer;
  if (isSameFile && a.bytes.byteOffset + inA === b.bytes.byteOffset + inB) return false;
  // Linkers repeat no more than what shares a page.
  if (end - start > PAGE) return true;
  for (let i = Number(end - start) - 1; i >= 0; i--) {
    if (a.bytes[inA + i] !== b.bytes[inB + i]) return true;
  }
  return false;
}

/** Those of the named options that were given, for protocols that have no use for them. */
export function unusedOptions(
  options: BootOptions,
  names: readonly UnusedOption[],
): UnusedOption[] {
  return names.filter((name) => {
    if (name === "moduleArguments") return options.modules?.some((module) => module.arguments);
    const given = options[name];
    return given !== undefined && (typeof given === "bigint" || given.length > 0);
  });
}
