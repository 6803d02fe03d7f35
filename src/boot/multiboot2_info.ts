/**
 * The boot information of Multiboot 2 (specification version 2.0, section 3.6): one
 * structure of tags. The machine has no framebuffer, boot device, APM, EFI or
 * network, so it has no tags for these.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import { hex } from "../hex.ts";
import type { PlacedSections } from "./elf_sections.ts";
import { encodeE820 } from "../firmware/memory_map.ts";
import { commandLineString, guestString, type PlacedModule } from "./modules.ts";
import { handedOverFacts, LOADER_NAME, ramKiB } from "./multiboot.ts";
import type { BootOptions, Fact, Placement } from "./plan.ts";

/** Tag types. */
const TAG = {
  end: 0,
  commandLine: 1,
  loaderName: 2,
  module: 3,
  memory: 4,
  map: 6,
  sections: 9,
  oldRsdp: 14,
  newRsdp: 15,
  loadBase: 21,
} as const;
const TAG_HEADER_BYTES = 8;
const MAP_ENTRY_BYTES = 24;
/** The size of the root pointer of ACPI 1.0. */
const OLD_RSDP_BYTES = 20;

/** What the boot information is made from. */
export interface Information {
  readonly modules: readonly PlacedModule[];
  readonly options: BootOptions;
  readonly sections: PlacedSections | undefined;
  /** Where a relocatable kernel was loaded. */
  readonly loadedAt: bigint | undefined;
}

/** Puts the information in place, after the other tables. @throws {ImageError} */
export function putInformation(
  placement: Placement,
  { modules, options, sections, loadedAt }: Information,
): { readonly gpa: bigint; readonly facts: readonly Fact[] } {
  const build = (): Uint8Array => {
    const map = placement.memoryMap();
    const rsdp = options.rsdp?.bytes;
    return structure([
      tag(TAG.commandLine, commandLineString(options)),
      tag(TAG.loaderName, guestString("loader name", LOADER_NAME)),
      ...modules.map(({ start, end, text }) => tag(TAG.module, words(start, end), text)),
      tag(TAG.memory, words(ramKiB(map, 0), ramKiB(map, 0x10_0000))),
      tag(TAG.map, words(MAP_ENTRY_BYTES, 0), encodeE820(map, MAP_ENTRY_BYTES)),
      ...(sections
        ? [tag(
          TAG.sections,
          words(sections.count, sections.entrySize, sections.names),
          sections.headers,
        )]
        : []),
      ...(rsdp ? [tag(rsdp.length > OLD_RSDP_BYTES ? TAG.newRsdp : TAG.oldRsdp, rsdp)] : []),
      ...(loadedAt === undefined ? [] : [tag(TAG.loadBase, words(loadedAt))]),
      tag(TAG.end),
    ]);
  };
  // The information's place can change the map in it, by two entries at most.
  const sizeBytes = build().length + 2 * MAP_ENTRY_BYTES;
  const gpa = placement.findPages("Multiboot 2 information", sizeBytes);
  const map = placement.memoryMap();
  placement.put("Multiboot 2 information", gpa, build(), sizeBytes);
  const { rsdp } = options;
  return {
    gpa,
    facts: [
      ["information", hex(gpa), "handed over in EBX"],
      ...handedOverFacts(map, modules, sections),
      ["rsdp", rsdp ? hex(rsdp.gpa) : "none", "ACPI root pointer, handed over as a copy"],
      ["framebuffer", "none", "there is no display"],
    ],
  };
}

function words(...values: (number | bigint)[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values.map(Number)).buffer);
}

/** A tag with its size, padded to the next one's alignment. */
function tag(type: number, ...parts: Uint8Array[]): Uint8Array {
  const content = concat(parts);
  const size = TAG_HEADER_BYTES + content.length;
  const bytes = new Uint8Array(Math.ceil(size / 8) * 8);
  bytes.set(words(type, size));
  bytes.set(content, TAG_HEADER_BYTES);
  return bytes;
}

/** The total size and all tags. */
function structure(tags: readonly Uint8Array[]): Uint8Array {
  const content = concat(tags);
  const totalSize = 8 + content.length;
  return concat([words(totalSize, 0), content]);
}
