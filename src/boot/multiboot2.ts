/**
 * Multiboot 2 kernels (specification version 2.0): finds the header, follows its tags
 * and loads the kernel; multiboot2_info.ts has the boot information.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { protectedEntry } from "./entry.ts";
import { ImageError, ImageReader } from "./image.ts";
import { placeModules } from "./modules.ts";
import { putInformation } from "./multiboot2_info.ts";
import { findHeader, misplacedHeader, MULTIBOOT_2 } from "./multiboot_search.ts";
import { loadByAddresses, type LoadedKernel, loadElf, requireEntry } from "./multiboot_load.ts";
import { type BootOptions, type BootPlan, type Fact, Placement, unusedOptions } from "./plan.ts";

/** EAX at the kernel's entry. */
const LOADER_MAGIC = 0x36d7_6289n;
const HEADER_BYTES = 16;
const TAG_BYTES = 8;
const TAG_END = 0;
/** i386, the only architecture that this machine can be. */
const ARCHITECTURE_I386 = 0;
/** A tag's flag: a loader may ignore the tag. */
const OPTIONAL = 1;
/** The last tag type that the specification defines for the boot information. */
const LAST_INFORMATION_TYPE = 21;
const WHAT = "Multiboot 2 header";

/** Tags in the header, with their minimum sizes. */
const TAGS = {
  1: { name: "information request", size: 8 },
  2: { name: "address", size: 24 },
  3: { name: "entry address", size: 12 },
  4: { name: "console flags", size: 12 },
  5: { name: "framebuffer", size: 20 },
  6: { name: "module alignment", size: 8 },
  7: { name: "EFI boot services", size: 8 },
  8: { name: "EFI i386 entry address", size: 12 },
  9: { name: "EFI amd64 entry address", size: 12 },
  10: { name: "relocatable", size: 24 },
} as const satisfies Readonly<Record<number, { name: string; size: number }>>;
type TagType = keyof typeof TAGS;

interface Header {
  readonly offset: number;
  readonly length: number;
  readonly architecture: number;
}

interface Tag {
  readonly type: number;
  readonly name: string;
  readonly optional: boolean;
  /** The whole tag, its first eight bytes included. */
  readonly reader: ImageReader;
}

/** Finds the Multiboot 2 header in a file. */
export function findMultiboot2Header(image: Uint8Array): Header | undefined {
  const offset = findHeader(image, MULTIBOOT_2);
  if (offset === undefined) return undefined;
  const reader = new ImageReader(image, WHAT);
  return {
    offset,
    architecture: reader.u32(offset + 4, "architecture"),
    length: reader.u32(offset + 8, "header_length"),
  };
}

/**
 * Plans the boot of a Multiboot 2 kernel: 32-bit protected mode, paging off, EBX at
 * the information.
 *
 * @throws {ImageError}
 *
 * @example
 * ```ts
 * import { planMultiboot2 } from "./multiboot2.ts";
 * import { ramLayout } from "../memory/ram.ts";
 * const image = Deno.readFileSync("images/mb2-info.mb2");
 * console.log(planMultiboot2(image, { ram: ramLayout(4 << 20) }).protocol); // "multiboot2"
 * ```
 */
export function planMultiboot2(image: Uint8Array, options: BootOptions): BootPlan {
  const header = findMultiboot2Header(image);
  if (!header) {
    const misplaced = misplacedHeader(image);
    throw new ImageError(
      "no Multiboot 2 header (0xe85250d6) in the first 32768 bytes of the file" +
        (misplaced === undefined ? "" : `; ${misplaced}`),
    );
  }
  if (header.architecture !== ARCHITECTURE_I386) {
    throw new ImageError(`${WHAT}: architecture ${hex(header.architecture)} is not i386 (0)`);
  }
  const tags = readTags(image, header);
  const find = (type: TagType): Tag | undefined => tags.find((tag) => tag.type === type);
  const warnings = tags.flatMap(answer);

  const placement = new Placement(options.ram, options.reserved);
  const addresses = find(2);
  const kernel = addresses
    ? placeByAddresses(image, header, addresses, placement)
    : loadElf(image, `${WHAT}: there is no tag 2 (address)`, placement);
  const entryTag = find(3);
  const named = entryTag ? BigInt(entryTag.reader.u32(8, "entry_addr")) : kernel.entry;
  if (named === undefined) {
    throw new ImageError(`${WHAT}: load addresses, but no tag 3 (entry address)`);
  }
  const rip = requireEntry(named, placement);
  const loadedAt = placement.segments[0]!.gpa;
  const modules = placeModules(placement, options.modules);
  const entry = protectedEntry(placement, rip);
  const information = putInformation(placement, {
    modules,
    options,
    sections: kernel.sections,
    loadedAt: find(10) ? loadedAt : undefined,
  });
  return {
    protocol: "multiboot2",
    description: `Multiboot 2 kernel (${
      addresses ? "loaded by its header" : `ELF${kernel.bits ?? ""}`
    })`,
    entry: { ...entry, registers: { rax: LOADER_MAGIC, rbx: information.gpa } },
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: [
      ["header_offset", hex(header.offset), "in the file"],
      ["header_length", hex(header.length), "with its tags"],
      tagFact(tags),
      ...kernel.facts,
      ["entry_address", hex(rip), entryTag ? "from tag 3" : "from the file"],
      ...information.facts,
    ],
    warnings,
    unused: unusedOptions(options, ["loadAddress", "entry"]),
  };
}

/** All tags but the end tag. @throws {ImageError} */
function readTags(image: Uint8Array, { offset, length }: Header): Tag[] {
  if (offset + length > MULTIBOOT_2.withinBytes) {
    throw new ImageError(
      `${WHAT}: header_length ${hex(length)} reaches beyond the first ` +
        `${MULTIBOOT_2.withinBytes} bytes of the file`,
    );
  }
  const header = new ImageReader(image, WHAT).slice(
    BigInt(offset),
    BigInt(length),
    `header_length ${hex(length)}`,
  );
  const reader = new ImageReader(header, WHAT);
  const tags: Tag[] = [];
  for (let at = HEADER_BYTES;;) {
    const type = reader.u16(at, "tag type");
    if (type === TAG_END) return tags; // whatever its size
    const optional = (reader.u16(at + 2, "tag flags") & OPTIONAL) !== 0;
    const size = reader.u32(at + 4, "tag size");
    const known = TAGS[type as TagType];
    if (size < (known?.size ?? TAG_BYTES)) {
      throw new ImageError(`${WHAT}: tag ${type} at ${hex(at)}: size ${hex(size)} is too small`);
    }
    if (!known && !optional) {
      throw new ImageError(
        `${WHAT}: tag type ${hex(type)} at ${hex(at)} is not in the specification, ` +
          "and not optional",
      );
    }
    const bytes = reader.slice(BigInt(at), BigInt(size), `tag ${type}: size`);
    tags.push({
      type,
      name: known?.name ?? "unknown",
      optional,
      reader: new ImageReader(bytes, `${WHAT}: tag ${type} (${known?.name ?? "unknown"})`),
    });
    at = Math.ceil((at + size) / 8) * 8;
  }
}

/**
 * What the kernel asks for and does not get.
 *
 * @returns warnings
 * @throws {ImageError} when it is not optional
 */
function answer({ type, optional, reader }: Tag): string[] {
  switch (type) {
    case 1:
      for (let at = TAG_BYTES; at + 4 <= reader.bytes.length; at += 4) {
        const wanted = reader.u32(at, "mbi_tag_types");
        if (wanted > LAST_INFORMATION_TYPE && !optional) {
          throw new ImageError(
            `${reader.what}: mbi_tag_types has ${hex(wanted)}, which the specification does not ` +
              "define, and is not optional",
          );
        }
      }
      return [];
    case 4:
      if ((reader.u32(8, "console_flags") & 1) && !optional) {
        throw new ImageError(
          `${reader.what}: console_flags ${hex(reader.u32(8, "console_flags"))} demand a text ` +
            "console or framebuffer; there is no display",
        );
      }
      return [];
    case 5: {
      const [width, height, depth] = [8, 12, 16].map((at) => reader.u32(at, "framebuffer"));
      const size = width && height ? ` of ${width}x${height}x${depth}` : "";
      return [
        `the kernel asks for a framebuffer${size}; there is no display, so it gets none`,
      ];
    }
    default:
      return [];
  }
}

function placeByAddresses(
  image: Uint8Array,
  { offset }: Header,
  { reader }: Tag,
  placement: Placement,
): LoadedKernel {
  const headerAddress = BigInt(reader.u32(8, "header_addr"));
  const loadAddress = BigInt(reader.u32(12, "load_addr"));
  return loadByAddresses(image, WHAT, offset, {
    headerAddress,
    // All ones: load the file from its beginning.
    loadAddress: loadAddress === 0xffff_ffffn ? headerAddress - BigInt(offset) : loadAddress,
    loadEnd: BigInt(reader.u32(16, "load_end_addr")),
    bssEnd: BigInt(reader.u32(20, "bss_end_addr")),
  }, placement);
}

function tagFact(tags: readonly Tag[]): Fact {
  return [
    "header_tags",
    tags.map(({ type, name, optional, reader }) => ({
      type,
      name,
      optional,
      size: reader.bytes.length,
    })),
  ];
}
