/**
 * The section headers of ELF kernels, and the sections that no program header
 * loads: symbols and their names. Multiboot loaders hand them to the kernel
 * (System V ABI, chapter 4, "Sections").
 *
 * @module
 */

import { hex } from "../hex.ts";
import { PAGE_BYTES } from "../pages.ts";
import type { ElfImage } from "./elf_file.ts";
import { ImageError, ImageReader } from "./image.ts";
import { modulePlace } from "./modules.ts";
import type { Placement } from "./plan.ts";

const SHT_NULL = 0;
const SHT_NOBITS = 8;
/** No kernel has more section headers. */
const MAX_SECTIONS = 4096;

/** Offsets in a section header, and its size. */
const FIELDS = {
  32: { address: 12, offset: 16, size: 20, alignment: 32, bytes: 40 },
  64: { address: 16, offset: 24, size: 32, alignment: 48, bytes: 64 },
} as const;

/** A table of section headers whose sections all lie in guest memory. */
export interface PlacedSections {
  readonly count: number;
  readonly entrySize: number;
  /** The index of the section with the section names. */
  readonly names: number;
  /** The headers, with the addresses of the sections. */
  readonly headers: Uint8Array;
}

/**
 * Places the sections without an address after the kernel.
 *
 * @returns the headers with all addresses, or `undefined` where the file has none
 * @throws {ImageError}
 */
export function placeSections(
  image: Uint8Array,
  { bits }: ElfImage,
  placement: Placement,
): PlacedSections | undefined {
  const header = new ImageReader(image, "ELF header");
  const wide = bits === 64;
  const tableOffset = wide ? header.u64(40, "e_shoff") : BigInt(header.u32(32, "e_shoff"));
  const [entrySize, count, names] = (wide ? [58, 60, 62] : [46, 48, 50])
    .map((offset, i) => header.u16(offset, ["e_shentsize", "e_shnum", "e_shstrndx"][i]!)) as [
      number,
      number,
      number,
    ];
  if (tableOffset === 0n || count === 0) return undefined;
  if (count > MAX_SECTIONS) {
    throw new ImageError(`ELF header: e_shnum ${hex(count)} is more than a kernel has`);
  }
  const field = FIELDS[bits];
  if (entrySize < field.bytes) {
    throw new ImageError(
      `ELF header: e_shentsize ${hex(entrySize)} is less than ${hex(field.bytes)}`,
    );
  }
  const headers = header.slice(tableOffset, BigInt(count * entrySize), "e_shoff").slice();
  const view = new DataView(headers.buffer);
  for (let index = 0; index < count; index++) {
    const at = index * entrySize;
    const word = (offset: number): bigint =>
      wide ? view.getBigUint64(at + offset, true) : BigInt(view.getUint32(at + offset, true));
    const type = view.getUint32(at + 4, true);
    const size = word(field.size);
    if (type === SHT_NULL || type === SHT_NOBITS || size === 0n) continue;
    if (word(field.address) !== 0n) continue;
    const what = `ELF section ${index}`;
    const alignment = word(field.alignment);
    if (alignment > PAGE_BYTES || (alignment & (alignment - 1n)) !== 0n) {
      throw new ImageError(
        `${what}: sh_addralign ${hex(alignment)} is not a power of two up to 4096`,
      );
    }
    const bytes = new ImageReader(image, what).slice(
      word(field.offset),
      size,
      "sh_offset + sh_size",
    );
    const gpa = modulePlace(placement, alignment);
    placement.put(what, gpa, bytes);
    if (wide) view.setBigUint64(at + field.address, gpa, true);
    else view.setUint32(at + field.address, Number(gpa), true);
  }
  return { count, entrySize, names, headers };
}
