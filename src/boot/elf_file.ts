/**
 * ELF files as loaders read them: the header and the program headers (System V ABI,
 * chapters 4 and 5; x86-64 psABI). Only loaded parts are checked.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { ImageError, ImageReader } from "./image.ts";

const MAGIC = 0x464c457f; // 7f 'E' 'L' 'F'
const CLASSES = { 1: 32, 2: 64 } as const;
const LITTLE_ENDIAN = 1;
const ET_REL = 1;
export const ET_EXEC = 2;
const ET_DYN = 3;
export const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_NOTE = 4;
/** No executable has more program headers. */
const MAX_PROGRAM_HEADERS = 1024;

/** A program header, its values unchecked: those of a segment that is not loaded may be anything. */
export interface ProgramHeader {
  readonly index: number;
  readonly type: number;
  readonly fileOffset: bigint;
  readonly fileSizeBytes: bigint;
  readonly physicalAddress: bigint;
  readonly virtualAddress: bigint;
  readonly memorySizeBytes: bigint;
  readonly alignment: bigint;
}

/** A segment to load. */
export interface ElfSegment {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly physicalAddress: bigint;
  readonly virtualAddress: bigint;
  readonly memorySizeBytes: bigint;
}

/** What a loader needs to know of an ELF file. */
export interface ElfImage {
  readonly file: Uint8Array;
  readonly bits: 32 | 64;
  readonly machine: number;
  readonly type: number;
  /** The header's entry: a virtual address. */
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** The program headers of notes. */
  readonly notes: readonly ProgramHeader[];
  /** The program header of dynamic linking, which static position-independent files have too. */
  readonly dynamic: ProgramHeader | undefined;
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
  if (type === ET_REL) {
    throw new ImageError("ELF header: e_type 0x1 is an object file, not an executable: link it");
  }
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
  const headers = Array.from(
    { length: count },
    (_, index) => readProgramHeader(table.subarray(index * entrySize), index, wide),
  );
  const segments = headers
    .filter(({ type, fileSizeBytes, memorySizeBytes }) =>
      type === PT_LOAD && (memorySizeBytes > 0n || fileSizeBytes > 0n)
    )
    .map((header) => readSegment(image, header));
  if (segments.length === 0) throw new ImageError("ELF: no PT_LOAD segment: nothing to load");
  return {
    file: image,
    bits,
    machine,
    type,
    entry,
    segments,
    notes: headers.filter((header) => header.type === PT_NOTE),
    dynamic: headers.find((header) => header.type === PT_DYNAMIC),
  };
}

function readProgramHeader(bytes: Uint8Array, index: number, wide: boolean): ProgramHeader {
  const header = new ImageReader(bytes, `ELF program header ${index}`);
  const word = (offset: number, narrowOffset: number, field: string): bigint =>
    wide ? header.u64(offset, field) : BigInt(header.u32(narrowOffset, field));
  return {
    index,
    type: header.u32(0, "p_type"),
    fileOffset: word(8, 4, "p_offset"),
    virtualAddress: word(16, 8, "p_vaddr"),
    physicalAddress: word(24, 12, "p_paddr"),
    fileSizeBytes: word(32, 16, "p_filesz"),
    memorySizeBytes: word(40, 20, "p_memsz"),
    alignment: word(48, 28, "p_align"),
  };
}

/**
 * The bytes of a program header in the file; without any, it may point anywhere.
 *
 * @throws {ImageError} when they are not all there
 */
export function contentOf(
  file: Uint8Array,
  { index, fileOffset, fileSizeBytes }: ProgramHeader,
): Uint8Array {
  if (fileSizeBytes === 0n) return new Uint8Array();
  const reader = new ImageReader(file, `ELF program header ${index}`);
  return reader.slice(fileOffset, fileSizeBytes, "p_offset + p_filesz");
}

function readSegment(file: Uint8Array, header: ProgramHeader): ElfSegment {
  const { index, fileSizeBytes, memorySizeBytes, physicalAddress, virtualAddress } = header;
  const what = `ELF program header ${index}`;
  if (fileSizeBytes > memorySizeBytes) {
    throw new ImageError(
      `${what}: p_filesz ${hex(fileSizeBytes)} is more than p_memsz ${hex(memorySizeBytes)}`,
    );
  }
  if (memorySizeBytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ImageError(`${what}: p_memsz ${hex(memorySizeBytes)} is more than memory can hold`);
  }
  return {
    index,
    bytes: contentOf(file, header),
    physicalAddress,
    virtualAddress,
    memorySizeBytes,
  };
}
