/**
 * Multiboot 1 kernels (specification version 0.6.96): the header in the first
 * 8 KiB, loading by ELF or by the header's own addresses, and the information
 * structure.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { elfFacts, isElf, parseElf, physicalEntry, placeElf } from "./elf.ts";
import { protectedEntry } from "./entry.ts";
import { ImageError, ImageReader } from "./image.ts";
import { MAX_MAP_ENTRIES, type MemoryMapEntry, MemoryType, pcMemoryMap } from "./memory_map.ts";
import { type BootOptions, type BootPlan, type Fact, Placement, unusedOptions } from "./plan.ts";

const HEADER_MAGIC = 0x1badb002;
/** What EAX holds when the kernel is entered. */
const LOADER_MAGIC = 0x2badb002n;
/** The header lies within so many bytes of the file, 4-byte aligned. */
const SEARCH_BYTES = 8192;

/** Header flags (section 3.1.2). */
const ALIGN_MODULES = 1 << 0;
const WANT_MEMORY = 1 << 1;
const WANT_VIDEO = 1 << 2;
const HAS_ADDRESSES = 1 << 16;
/** A loader that does not know one of these flags must not boot the kernel. */
const MANDATORY = 0xffff;
const KNOWN = ALIGN_MODULES | WANT_MEMORY | WANT_VIDEO;

/** Information flags (section 3.3): which fields are valid. */
const INFO = { memory: 1 << 0, commandLine: 1 << 2, modules: 1 << 3, map: 1 << 6, name: 1 << 9 };
/** Offsets in the information structure. */
const AT = {
  flags: 0,
  memLower: 4,
  memUpper: 8,
  commandLine: 16,
  modulesCount: 20,
  modulesAddress: 24,
  mapLength: 44,
  mapAddress: 48,
  loaderName: 64,
} as const;
const INFO_BYTES = 116;
const MODULE_BYTES = 16;
const MAP_ENTRY_BYTES = 24;
/** A command line longer than this is a mistake. */
const MAX_STRING_BYTES = 4096;
const LOADER_NAME = "vmexit";

interface Header {
  readonly offset: number;
  readonly flags: number;
}

/** The Multiboot header's place in a file, or `undefined` where there is none. */
export function findMultibootHeader(image: Uint8Array): Header | undefined {
  const reader = new ImageReader(image, "Multiboot header");
  const last = Math.min(image.length, SEARCH_BYTES) - 12;
  for (let offset = 0; offset <= last; offset += 4) {
    if (reader.u32(offset, "magic") !== HEADER_MAGIC) continue;
    const flags = reader.u32(offset + 4, "flags");
    const sum = HEADER_MAGIC + flags + reader.u32(offset + 8, "checksum");
    if (sum % 2 ** 32 === 0) return { offset, flags };
  }
  return undefined;
}

/**
 * Plans the boot of a Multiboot 1 kernel.
 *
 * @throws {ImageError}
 */
export function planMultiboot(image: Uint8Array, options: BootOptions): BootPlan {
  const header = findMultibootHeader(image);
  if (!header) {
    throw new ImageError("no Multiboot header (0x1badb002) in the first 8192 bytes of the file");
  }
  const unknown = header.flags & MANDATORY & ~KNOWN;
  if (unknown) {
    throw new ImageError(
      `Multiboot header: flags ${hex(header.flags)} ask for ${hex(unknown)}, ` +
        "which the specification does not define",
    );
  }
  const placement = new Placement(options.ram);
  const byAddresses = (header.flags & HAS_ADDRESSES) !== 0;
  const { rip, facts } = byAddresses
    ? placeByAddresses(image, header, placement)
    : placeByElf(image, placement);
  if (rip >= 1n << 32n) {
    throw new ImageError(`Multiboot: entry ${hex(rip)} is above 4 GiB, where 32-bit code ends`);
  }
  if (!placement.holds(rip)) {
    throw new ImageError(`Multiboot: entry ${hex(rip)} lies in no loaded segment`);
  }
  const entry = protectedEntry(placement, rip);
  const info = putInformation(placement, options);
  const warnings = unusedOptions("multiboot", options, ["loadAddress", "entry"]);
  if (header.flags & WANT_VIDEO) {
    warnings.push("the kernel asks for a video mode; there is no display, so it is told of none");
  }
  return {
    protocol: "multiboot",
    description: `Multiboot 1 kernel (${byAddresses ? "loaded by its header" : "ELF"})`,
    entry: { ...entry, registers: { rax: LOADER_MAGIC, rbx: info } },
    segments: placement.segments,
    facts: [
      ["header_offset", hex(header.offset)],
      ["header_flags", hex(header.flags)],
      ...facts,
      ["information", hex(info)],
    ],
    warnings,
  };
}

interface Placed {
  readonly rip: bigint;
  readonly facts: Fact[];
}

function placeByElf(image: Uint8Array, placement: Placement): Placed {
  if (!isElf(image)) {
    throw new ImageError(
      "Multiboot header: flags have bit 16 clear, so the file must be ELF, which it is not",
    );
  }
  const elf = parseElf(image);
  placeElf(elf, placement);
  return { rip: physicalEntry(elf), facts: elfFacts(elf) };
}

/** The header's own addresses say what to load: section 3.1.3, the "a.out kludge". */
function placeByAddresses(image: Uint8Array, header: Header, placement: Placement): Placed {
  const reader = new ImageReader(image, "Multiboot header");
  const field = (at: number, name: string): bigint => BigInt(reader.u32(header.offset + at, name));
  const headerAddress = field(12, "header_addr");
  const loadAddress = field(16, "load_addr");
  const loadEnd = field(20, "load_end_addr");
  const bssEnd = field(24, "bss_end_addr");
  const entry = field(28, "entry_addr");
  if (headerAddress < loadAddress) {
    throw new ImageError(
      `Multiboot header: header_addr ${hex(headerAddress)} is below load_addr ${hex(loadAddress)}`,
    );
  }
  const fileOffset = BigInt(header.offset) - (headerAddress - loadAddress);
  if (fileOffset < 0n) {
    throw new ImageError(
      `Multiboot header: load_addr ${hex(loadAddress)} lies ${hex(-fileOffset)} bytes before ` +
        "the start of the file",
    );
  }
  if (loadEnd !== 0n && loadEnd < loadAddress) {
    throw new ImageError(
      `Multiboot header: load_end_addr ${hex(loadEnd)} is below load_addr ${hex(loadAddress)}`,
    );
  }
  const size = loadEnd === 0n ? BigInt(image.length) - fileOffset : loadEnd - loadAddress;
  const bytes = reader.slice(fileOffset, size, "load_end_addr");
  const end = loadAddress + size;
  if (bssEnd !== 0n && bssEnd < end) {
    throw new ImageError(
      `Multiboot header: bss_end_addr ${hex(bssEnd)} is below the end of the image ${hex(end)}`,
    );
  }
  const memorySize = bssEnd === 0n ? size : bssEnd - loadAddress;
  placement.put("Multiboot image", loadAddress, bytes, Number(memorySize));
  return {
    rip: entry,
    facts: [
      ["load_address", hex(loadAddress)],
      ["load_end", hex(end)],
      ["bss_end", hex(bssEnd)],
      ["entry", hex(entry)],
    ],
  };
}

/** Puts the information structure and all that it points to into low memory. */
function putInformation(placement: Placement, options: BootOptions): bigint {
  const modules = (options.modules ?? []).map(({ name, bytes }) => {
    const start = modulePlace(placement);
    placement.put(`module ${name}`, start, bytes);
    return { start, end: start + BigInt(bytes.length), text: cString("module name", name) };
  });
  const commandLine = cString("command line (--append)", options.commandLine ?? "");
  const loaderName = cString("loader name", LOADER_NAME);

  const mapAt = INFO_BYTES;
  const modulesAt = mapAt + MAX_MAP_ENTRIES * MAP_ENTRY_BYTES;
  let stringsAt = modulesAt + modules.length * MODULE_BYTES;
  const strings = [commandLine, loaderName, ...modules.map((m) => m.text)];
  const total = strings.reduce((sum, text) => sum + text.length, stringsAt);
  const base = placement.findPages("Multiboot information", total);
  // The map has to know where all tables are, itself included.
  const map = pcMemoryMap(placement.ram, placement.tablesStart);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  const put = (at: number, value: number | bigint): void => view.setUint32(at, Number(value), true);
  const address = (at: number): number => Number(base) + at;
  const putString = (text: Uint8Array): number => {
    bytes.set(text, stringsAt);
    stringsAt += text.length;
    return address(stringsAt - text.length);
  };

  put(AT.flags, INFO.memory | INFO.commandLine | INFO.modules | INFO.map | INFO.name);
  put(AT.memLower, ramKiB(map, 0));
  put(AT.memUpper, ramKiB(map, 0x10_0000));
  put(AT.commandLine, putString(commandLine));
  put(AT.loaderName, putString(loaderName));
  put(AT.modulesCount, modules.length);
  put(AT.modulesAddress, modules.length ? address(modulesAt) : 0);
  modules.forEach(({ start, end, text }, i) => {
    const at = modulesAt + i * MODULE_BYTES;
    put(at, start);
    put(at + 4, end);
    put(at + 8, putString(text));
  });
  put(AT.mapLength, map.length * MAP_ENTRY_BYTES);
  put(AT.mapAddress, address(mapAt));
  map.forEach(({ gpa, sizeBytes, type }, i) => {
    const at = mapAt + i * MAP_ENTRY_BYTES;
    put(at, MAP_ENTRY_BYTES - 4);
    view.setBigUint64(at + 4, BigInt(gpa), true);
    view.setBigUint64(at + 12, BigInt(sizeBytes), true);
    put(at + 20, type);
  });
  placement.put("Multiboot information", base, bytes);
  return base;
}

/** Modules go behind the kernel, each on a page of its own, and not into the PC's low megabyte. */
function modulePlace(placement: Placement): bigint {
  const end = placement.endOfLowSegments();
  return end < 0x10_0000n ? 0x10_0000n : end;
}

/** How much RAM there is from an address on, up to what is no RAM. */
function ramKiB(map: readonly MemoryMapEntry[], gpa: number): number {
  const entry = map.find((e) => e.type === MemoryType.ram && e.gpa === gpa);
  return Math.floor((entry?.sizeBytes ?? 0) / 1024);
}

function cString(what: string, text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text + "\0");
  if (bytes.length > MAX_STRING_BYTES) {
    throw new ImageError(
      `the ${what} has ${bytes.length - 1} bytes; at most ${MAX_STRING_BYTES - 1} fit`,
    );
  }
  return bytes;
}
