/**
 * Multiboot 1 kernels (specification version 0.6.96): finds the header, loads by ELF
 * or by the header's addresses, and hands over the information structure.
 *
 * @module
 */

import { hex } from "../hex.ts";
import type { PlacedSections } from "./elf_sections.ts";
import { protectedEntry } from "./entry.ts";
import { ImageError, ImageReader } from "./image.ts";
import { encodeE820, type MemoryMapEntry, MemoryType } from "../firmware/memory_map.ts";
import { commandLineString, guestString, type PlacedModule, placeModules } from "./modules.ts";
import { findHeader, misplacedHeader, MULTIBOOT_1 } from "./multiboot_search.ts";
import { loadByAddresses, type LoadedKernel, loadElf, requireEntry } from "./multiboot_load.ts";
import {
  type BootOptions,
  type BootPlan,
  type Fact,
  mapFact,
  Placement,
  unusedOptions,
} from "./plan.ts";

/** EAX at the kernel's entry. */
const LOADER_MAGIC = 0x2badb002n;
const WHAT = "Multiboot header";

/** Header flags (section 3.1.2). */
const HEADER_FLAGS = {
  ALIGN_MODULES: 1 << 0,
  WANT_MEMORY: 1 << 1,
  WANT_VIDEO: 1 << 2,
  HAS_ADDRESSES: 1 << 16,
} as const;
/** A loader must not boot a kernel with one of these flags that it does not know. */
const MANDATORY = 0xffff;
const KNOWN = HEADER_FLAGS.ALIGN_MODULES | HEADER_FLAGS.WANT_MEMORY | HEADER_FLAGS.WANT_VIDEO;

/**
 * Information flags (section 3.3): which fields are valid. There is no boot device,
 * drive, ROM configuration, APM or video, so their flags stay clear.
 */
const INFO = {
  memory: 1 << 0,
  commandLine: 1 << 2,
  modules: 1 << 3,
  sections: 1 << 5,
  map: 1 << 6,
  name: 1 << 9,
} as const;
/** Offsets in the information structure. */
const AT = {
  flags: 0,
  memLower: 4,
  memUpper: 8,
  commandLine: 16,
  modulesCount: 20,
  modulesAddress: 24,
  sections: 28,
  mapLength: 44,
  mapAddress: 48,
  loaderName: 64,
} as const;
const INFO_BYTES = 116;
const MODULE_BYTES = 16;
const MAP_ENTRY_BYTES = 24;
/** The loader name that kernels get. */
export const LOADER_NAME = "vmexit";

interface Header {
  readonly offset: number;
  readonly flags: number;
}

/** Finds the Multiboot header in a file. */
export function findMultibootHeader(image: Uint8Array): Header | undefined {
  const offset = findHeader(image, MULTIBOOT_1);
  return offset === undefined
    ? undefined
    : { offset, flags: new ImageReader(image, WHAT).u32(offset + 4, "flags") };
}

/**
 * Plans the boot of a Multiboot 1 kernel.
 *
 * @throws {ImageError}
 */
export function planMultiboot(image: Uint8Array, options: BootOptions): BootPlan {
  const header = findMultibootHeader(image);
  if (!header) {
    const misplaced = misplacedHeader(image);
    throw new ImageError(
      "no Multiboot header (0x1badb002) in the first 8192 bytes of the file" +
        (misplaced === undefined ? "" : `; ${misplaced}`),
    );
  }
  const unknown = header.flags & MANDATORY & ~KNOWN;
  if (unknown) {
    throw new ImageError(
      `Multiboot header: flags ${hex(header.flags)} ask for ${hex(unknown)}, ` +
        "which the specification does not define",
    );
  }
  const placement = new Placement(options.ram, options.reserved);
  const byAddresses = (header.flags & HEADER_FLAGS.HAS_ADDRESSES) !== 0;
  const kernel = byAddresses
    ? placeByAddresses(image, header, placement)
    : loadElf(image, `${WHAT}: flags have bit 16 clear`, placement);
  const rip = requireEntry(kernel.entry!, placement);
  const modules = placeModules(placement, options.modules);
  const entry = protectedEntry(placement, rip);
  const info = putInformation(placement, kernel.sections, modules, options);
  const warnings: string[] = [];
  if (header.flags & HEADER_FLAGS.WANT_VIDEO) {
    warnings.push("the kernel asks for a video mode; there is no display, so it gets none");
  }
  const flags = Object.entries(HEADER_FLAGS).filter(([, bit]) => header.flags & bit);
  return {
    protocol: "multiboot",
    description: `Multiboot 1 kernel (${byAddresses ? "loaded by its header" : "ELF"})`,
    entry: { ...entry, registers: { rax: LOADER_MAGIC, rbx: info.gpa } },
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: [
      ["header_offset", hex(header.offset), "in the file"],
      [
        "header_flags",
        [hex(header.flags), ...flags.map(([name]) => name)].join(" "),
        "what the kernel asks for",
      ],
      ...kernel.facts,
      ...info.facts,
    ],
    warnings,
    unused: unusedOptions(options, ["loadAddress", "entry"]),
  };
}

function placeByAddresses(image: Uint8Array, header: Header, placement: Placement): LoadedKernel {
  const reader = new ImageReader(image, WHAT);
  const field = (at: number, name: string): bigint => BigInt(reader.u32(header.offset + at, name));
  const addresses = {
    headerAddress: field(12, "header_addr"),
    loadAddress: field(16, "load_addr"),
    loadEnd: field(20, "load_end_addr"),
    bssEnd: field(24, "bss_end_addr"),
  };
  const entry = field(28, "entry_addr");
  const kernel = loadByAddresses(image, WHAT, header.offset, addresses, placement);
  return { ...kernel, entry, facts: [...kernel.facts, ["entry", hex(entry)]] };
}

/** Puts the information structure and all that it points to in place. */
function putInformation(
  placement: Placement,
  sections: PlacedSections | undefined,
  modules: readonly PlacedModule[],
  options: BootOptions,
): { readonly gpa: bigint; readonly facts: readonly Fact[] } {
  // The name comes first, as GRUB legacy and QEMU pass it and kernels expect it.
  const words = [options.imageName, options.commandLine].filter(Boolean);
  const commandLine = commandLineString({ commandLine: words.join(" ") });
  const loaderName = guestString("loader name", LOADER_NAME);
  const mapAt = INFO_BYTES;
  const modulesAt = mapAt + placement.maxMapEntries * MAP_ENTRY_BYTES;
  const sectionsAt = modulesAt + modules.length * MODULE_BYTES;
  let stringsAt = sectionsAt + (sections?.headers.length ?? 0);
  const strings = [commandLine, loaderName, ...modules.map((m) => m.text)];
  const total = strings.reduce((sum, text) => sum + text.length, stringsAt);
  const bytes = new Uint8Array(total);
  const base = placement.putTable("Multiboot information", bytes);
  // The map must cover all tables, this one included.
  const map = placement.memoryMap();
  const view = new DataView(bytes.buffer);
  const put = (at: number, ...values: (number | bigint)[]): void =>
    values.forEach((value, i) => view.setUint32(at + i * 4, Number(value), true));
  const address = (at: number): number => Number(base) + at;
  const putString = (text: Uint8Array): number => {
    bytes.set(text, stringsAt);
    stringsAt += text.length;
    return address(stringsAt - text.length);
  };

  put(AT.flags, INFO.memory | INFO.commandLine | INFO.modules | INFO.map | INFO.name);
  put(AT.memLower, ramKiB(map, 0), ramKiB(map, 0x10_0000));
  put(AT.commandLine, putString(commandLine));
  put(AT.loaderName, putString(loaderName));
  put(AT.modulesCount, modules.length, modules.length ? address(modulesAt) : 0);
  modules.forEach(({ start, end, text }, i) => {
    put(modulesAt + i * MODULE_BYTES, start, end, putString(text));
  });
  if (sections) {
    const { count, entrySize, names, headers } = sections;
    put(AT.flags, view.getUint32(AT.flags, true) | INFO.sections);
    put(AT.sections, count, entrySize, address(sectionsAt), names);
    bytes.set(headers, sectionsAt);
  }
  put(AT.mapLength, map.length * MAP_ENTRY_BYTES, address(mapAt));
  bytes.set(encodeE820(map, MAP_ENTRY_BYTES, 4), mapAt);
  map.forEach((_, i) => put(mapAt + i * MAP_ENTRY_BYTES, MAP_ENTRY_BYTES - 4));
  return {
    gpa: base,
    facts: [
      ["information", hex(base), "handed over in EBX"],
      ["info_flags", hex(view.getUint32(AT.flags, true)), "which of its fields are valid"],
      ...handedOverFacts(map, modules, sections),
      ["drives", "none", "flag 7 is clear"],
    ],
  };
}

/** What `inspect` shows of the information, for both versions. */
export function handedOverFacts(
  map: readonly MemoryMapEntry[],
  modules: readonly PlacedModule[],
  sections: PlacedSections | undefined,
): Fact[] {
  return [
    ["mem_lower", ramKiB(map, 0), "KiB from 0 on"],
    ["mem_upper", ramKiB(map, 0x10_0000), "KiB from 1 MiB on"],
    ["modules", modules.map(({ start, end }) => ({ start: hex(start), end: hex(end) }))],
    ...(sections ? [["elf_sections", sections.count, "with their addresses"] as const] : []),
    mapFact("memory_map", map),
  ];
}

/** RAM from an address up to the first gap, in KiB. */
export function ramKiB(map: readonly MemoryMapEntry[], gpa: number): number {
  const entry = map.find((e) => e.type === MemoryType.ram && e.gpa === gpa);
  return Math.floor((entry?.sizeBytes ?? 0) / 1024);
}
