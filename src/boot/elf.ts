/**
 * ELF executables, loaded by their program headers
 * (System V ABI, chapters 4 and 5; x86-64 psABI).
 *
 * @module
 */

import { hex } from "../hex.ts";
import { longEntry, protectedEntry } from "./entry.ts";
import { ImageError, ImageReader } from "./image.ts";
import { type BootOptions, type BootPlan, type Fact, Placement, unusedOptions } from "./plan.ts";

const MAGIC = 0x464c457f; // 7f 'E' 'L' 'F'
const CLASSES = { 1: 32, 2: 64 } as const;
const LITTLE_ENDIAN = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** More program headers than this are not an executable's. */
const MAX_PROGRAM_HEADERS = 1024;

/** A loadable segment of an ELF file, or one of notes. */
export interface ElfSegment {
  readonly index: number;
  readonly type: number;
  readonly bytes: Uint8Array;
  readonly physicalAddress: bigint;
  readonly virtualAddress: bigint;
  readonly memorySizeBytes: bigint;
  /** A power of two, or 0. */
  readonly alignment: bigint;
}

/** What a loader needs of an ELF file. */
export interface ElfImage {
  readonly bits: 32 | 64;
  readonly machine: number;
  readonly type: number;
  /** The entry as the header gives it: a virtual address. */
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** The program headers that hold notes. */
  readonly notes: readonly ElfSegment[];
}

/** Whether the file begins as ELF files do. */
export function isElf(image: Uint8Array): boolean {
  return image.length >= 4 && new ImageReader(image, "").u32(0, "") === MAGIC;
}

/**
 * Reads the ELF header and the loadable program headers.
 *
 * @throws {ImageError} naming the field that is wrong
 */
export function parseElf(image: Uint8Array): ElfImage {
  const header = new ImageReader(image, "ELF header");
  if (header.u32(0, "e_ident magic") !== MAGIC) throw new ImageError("not an ELF file");
  const [eiClass, eiData] = header.slice(4n, 2n, "e_ident");
  const bits = CLASSES[eiClass as keyof typeof CLASSES];
  if (bits === undefined) {
    throw new ImageError(`ELF header: e_ident class ${hex(eiClass!)} is neither 1 nor 2`);
  }
  if (eiData !== LITTLE_ENDIAN) {
    throw new ImageError(`ELF header: e_ident data ${hex(eiData!)} is not little-endian (1)`);
  }
  const type = header.u16(16, "e_type");
  if (type !== ET_EXEC && type !== ET_DYN) {
    throw new ImageError(`ELF header: e_type ${hex(type)} is not an executable (2 or 3)`);
  }
  const machine = header.u16(18, "e_machine");
  if (machine !== EM_X86_64 && (machine !== EM_386 || bits === 64)) {
    throw new ImageError(
      `ELF header: e_machine ${hex(machine)} is not an x86 processor (0x3 or 0x3e)`,
    );
  }
  const wide = bits === 64;
  const word = (offset: number, field: string): bigint =>
    wide ? header.u64(offset, field) : BigInt(header.u32(offset, field));
  const entry = word(24, "e_entry");
  const tableOffset = word(wide ? 32 : 28, "e_phoff");
  const entrySize = header.u16(wide ? 54 : 42, "e_phentsize");
  const count = header.u16(wide ? 56 : 44, "e_phnum");
  if (count === 0) throw new ImageError("ELF header: e_phnum is 0: there is nothing to load");
  if (count > MAX_PROGRAM_HEADERS) {
    throw new ImageError(`ELF header: e_phnum ${hex(count)} is more than an executable has`);
  }
  const minimum = wide ? 56 : 32;
  if (entrySize < minimum) {
    throw new ImageError(`ELF header: e_phentsize ${hex(entrySize)} is less than ${hex(minimum)}`);
  }
  const table = header.slice(tableOffset, BigInt(count * entrySize), "e_phoff");
  const all: ElfSegment[] = [];
  for (let index = 0; index < count; index++) {
    const segment = parseSegment(image, table, index, entrySize, wide);
    if (segment && segment.memorySizeBytes > 0n) all.push(segment);
  }
  const segments = all.filter((segment) => segment.type === PT_LOAD);
  const notes = all.filter((segment) => segment.type === PT_NOTE);
  if (segments.length === 0) throw new ImageError("ELF: no PT_LOAD segment: nothing to load");
  return { bits, machine, type, entry, segments, notes };
}

function parseSegment(
  image: Uint8Array,
  table: Uint8Array,
  index: number,
  entrySize: number,
  wide: boolean,
): ElfSegment | undefined {
  const what = `ELF program header ${index}`;
  const header = new ImageReader(table.subarray(index * entrySize), what);
  const type = header.u32(0, "p_type");
  if (type !== PT_LOAD && type !== PT_NOTE) return undefined;
  const word = (offset: number, narrowOffset: number, field: string): bigint =>
    wide ? header.u64(offset, field) : BigInt(header.u32(narrowOffset, field));
  const fileOffset = word(8, 4, "p_offset");
  const virtualAddress = word(16, 8, "p_vaddr");
  const physicalAddress = word(24, 12, "p_paddr");
  const fileSize = word(32, 16, "p_filesz");
  const memorySizeBytes = word(40, 20, "p_memsz");
  const alignment = word(48, 28, "p_align");
  if (fileSize > memorySizeBytes) {
    throw new ImageError(
      `${what}: p_filesz ${hex(fileSize)} is more than p_memsz ${hex(memorySizeBytes)}`,
    );
  }
  if ((alignment & (alignment - 1n)) !== 0n) {
    throw new ImageError(`${what}: p_align ${hex(alignment)} is not a power of two`);
  }
  if (memorySizeBytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ImageError(`${what}: p_memsz ${hex(memorySizeBytes)} is more than memory can hold`);
  }
  const bytes = new ImageReader(image, what).slice(fileOffset, fileSize, "p_offset + p_filesz");
  return { index, type, bytes, physicalAddress, virtualAddress, memorySizeBytes, alignment };
}

/** Puts an ELF file's segments where their physical addresses say. @throws {ImageError} */
export function placeElf(elf: ElfImage, placement: Placement): void {
  for (const { index, bytes, physicalAddress, memorySizeBytes } of elf.segments) {
    const name = `ELF program header ${index}: segment`;
    placement.put(name, physicalAddress, bytes, Number(memorySizeBytes));
  }
}

/**
 * The entry as a physical address: where the segment that holds the virtual
 * entry was loaded; as it stands where no segment holds it but RAM does.
 */
export function physicalEntry(elf: ElfImage): bigint {
  const { entry } = elf;
  const holder = elf.segments.find((s) =>
    entry >= s.virtualAddress && entry < s.virtualAddress + s.memorySizeBytes
  );
  return holder ? entry - holder.virtualAddress + holder.physicalAddress : entry;
}

/** The fields that `inspect` shows. */
export function elfFacts(elf: ElfImage): Fact[] {
  return [
    ["class", `ELF${elf.bits}`],
    ["machine", elf.machine === EM_386 ? "i386" : "x86-64"],
    ["type", elf.type === ET_EXEC ? "executable" : "position-independent"],
    ["entry", hex(elf.entry)],
    [
      "segments",
      elf.segments.map((s) => ({
        physical_address: hex(s.physicalAddress),
        virtual_address: hex(s.virtualAddress),
        file_size: s.bytes.length,
        memory_size: Number(s.memorySizeBytes),
      })),
    ],
  ];
}

/**
 * Plans the boot of an ELF executable, entered in the mode that its class implies.
 *
 * @throws {ImageError}
 */
export function planElf(image: Uint8Array, options: BootOptions): BootPlan {
  const elf = parseElf(image);
  const placement = new Placement(options.ram, options.reserved);
  placeElf(elf, placement);
  const rip = physicalEntry(elf);
  if (!placement.holds(rip)) {
    throw new ImageError(`ELF header: e_entry ${hex(elf.entry)} lies in no loaded segment`);
  }
  const long = elf.bits === 64;
  return {
    protocol: "elf",
    description: `ELF${elf.bits} executable for ${long ? "64-bit long" : "32-bit protected"} mode`,
    entry: long ? longEntry(placement, rip) : protectedEntry(placement, rip),
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: elfFacts(elf),
    warnings: [],
    unused: unusedOptions(options, ["commandLine", "modules", "loadAddress", "entry"]),
  };
}
