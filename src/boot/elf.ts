/**
 * ELF executables, loaded by their program headers and entered in the mode of their
 * class. Multiboot, PVH and Linux loaders place ELF kernels with it, too.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { needsLibraries, relocatedSegments } from "./elf_dynamic.ts";
import { type ElfImage, EM_386, ET_EXEC, parseElf } from "./elf_file.ts";
import { longEntry, protectedEntry } from "./entry.ts";
import { ImageError } from "./image.ts";
import { type BootOptions, type BootPlan, type Fact, Placement, unusedOptions } from "./plan.ts";

/** Where a file says for which operating system it is, and the value for Linux. */
const EI_OSABI = 7;
const OSABI_LINUX = 3;

/** Puts an ELF file's segments at their physical addresses. @throws {ImageError} */
export function placeElf(elf: ElfImage, placement: Placement): void {
  for (const { index, bytes, physicalAddress, memorySizeBytes } of relocatedSegments(elf)) {
    const name = `ELF program header ${index}: segment`;
    placement.putImage(name, physicalAddress, bytes, Number(memorySizeBytes));
  }
}

/**
 * The entry's physical address, by the segment that holds the virtual one; where
 * none does, the entry is taken for physical.
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
  if (needsLibraries(elf)) {
    throw new ImageError(
      "a dynamically linked program, which only an operating system can start; link it with " +
        "-static and without the C library",
    );
  }
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
    warnings: elfWarnings(image, elf, rip),
    unused: unusedOptions(options, ["commandLine", "modules", "loadAddress", "entry"]),
  };
}

/** Signs that a file is not the kernel that it is loaded as. */
function elfWarnings(file: Uint8Array, { entry, segments }: ElfImage, rip: bigint): string[] {
  const hasBytes = segments.some(({ physicalAddress, bytes }) =>
    rip >= physicalAddress && rip < physicalAddress + BigInt(bytes.length)
  );
  return [
    ...(hasBytes ? [] : [`ELF header: e_entry ${hex(entry)} lies in zeros, not in code`]),
    ...(file[EI_OSABI] === OSABI_LINUX
      ? ["the file is a program for Linux (EI_OSABI 3), and there are no system calls"]
      : []),
  ];
}
