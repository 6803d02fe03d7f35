/**
 * Loads Multiboot kernels of both versions: by ELF, or by the addresses in the
 * header, the "a.out kludge" (Multiboot 0.6.96 section 3.1.3, Multiboot 2 section
 * 3.1.5).
 *
 * @module
 */

import { hex } from "../hex.ts";
import { elfFacts, physicalEntry, placeElf } from "./elf.ts";
import { isElf, parseElf } from "./elf_file.ts";
import { type PlacedSections, placeSections } from "./elf_sections.ts";
import { ImageError, ImageReader } from "./image.ts";
import type { Fact, Placement } from "./plan.ts";

/** A kernel in guest memory. */
export interface LoadedKernel {
  /** The file's entry, a physical address, if it has one. */
  readonly entry: bigint | undefined;
  /** The section headers of an ELF file. */
  readonly sections: PlacedSections | undefined;
  /** Its class, if it is an ELF file. */
  readonly bits?: 32 | 64;
  readonly facts: readonly Fact[];
}

/** The address fields of a header. */
export interface LoadAddresses {
  readonly headerAddress: bigint;
  readonly loadAddress: bigint;
  /** 0: the whole file. */
  readonly loadEnd: bigint;
  /** 0: no zeros after the image. */
  readonly bssEnd: bigint;
}

/**
 * Puts an ELF kernel and its sections in place.
 *
 * @param why why the header requires ELF
 * @throws {ImageError}
 */
export function loadElf(image: Uint8Array, why: string, placement: Placement): LoadedKernel {
  if (!isElf(image)) {
    throw new ImageError(`${why}, so the file must be ELF, but it is not`);
  }
  const elf = parseElf(image);
  placeElf(elf, placement);
  const sections = placeSections(image, elf, placement);
  return { entry: physicalEntry(elf), sections, bits: elf.bits, facts: elfFacts(elf) };
}

/**
 * Puts a kernel in place by its header's addresses.
 *
 * @param offset where the header is in the file
 * @throws {ImageError}
 */
export function loadByAddresses(
  image: Uint8Array,
  what: string,
  offset: number,
  { headerAddress, loadAddress, loadEnd, bssEnd }: LoadAddresses,
  placement: Placement,
): LoadedKernel {
  if (headerAddress < loadAddress) {
    throw new ImageError(
      `${what}: header_addr ${hex(headerAddress)} is below load_addr ${hex(loadAddress)}`,
    );
  }
  const fileOffset = BigInt(offset) - (headerAddress - loadAddress);
  if (fileOffset < 0n) {
    throw new ImageError(
      `${what}: load_addr ${hex(loadAddress)} lies ${hex(-fileOffset)} bytes before ` +
        "the start of the file",
    );
  }
  if (loadEnd !== 0n && loadEnd < loadAddress) {
    throw new ImageError(
      `${what}: load_end_addr ${hex(loadEnd)} is below load_addr ${hex(loadAddress)}`,
    );
  }
  const size = loadEnd === 0n ? BigInt(image.length) - fileOffset : loadEnd - loadAddress;
  const bytes = new ImageReader(image, what).slice(fileOffset, size, "load_end_addr");
  const end = loadAddress + size;
  if (bssEnd !== 0n && bssEnd < end) {
    throw new ImageError(
      `${what}: bss_end_addr ${hex(bssEnd)} is below the end of the image ${hex(end)}`,
    );
  }
  const memorySize = bssEnd === 0n ? size : bssEnd - loadAddress;
  placement.putImage("Multiboot image", loadAddress, bytes, Number(memorySize));
  return {
    entry: undefined,
    sections: undefined,
    facts: [
      ["load_address", hex(loadAddress)],
      ["load_end", hex(end)],
      ["bss_end", hex(bssEnd)],
    ],
  };
}

/** Checks an entry and returns it. @throws {ImageError} when 32-bit code cannot start there */
export function requireEntry(entry: bigint, placement: Placement): bigint {
  if (entry >= 1n << 32n) {
    throw new ImageError(`Multiboot: entry ${hex(entry)} is above 4 GiB, where 32-bit code ends`);
  }
  if (!placement.holds(entry)) {
    throw new ImageError(`Multiboot: entry ${hex(entry)} lies in no loaded segment`);
  }
  return entry;
}
