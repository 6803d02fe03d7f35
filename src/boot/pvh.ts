/**
 * ELF kernels with a PVH entry, which a note names: protected mode with
 * `hvm_start_info` (Xen docs/misc/pvh.pandoc; `xen/include/public/arch-x86/hvm/start_info.h`).
 *
 * @module
 */

import { hex } from "../hex.ts";
import { elfFacts, placeElf } from "./elf.ts";
import { isElf, parseElf } from "./elf_file.ts";
import { kernelNotes } from "./elf_notes.ts";
import { protectedEntry } from "./entry.ts";
import { ImageError } from "./image.ts";
import { encodeE820 } from "../firmware/memory_map.ts";
import { commandLineString, type PlacedModule, placeModules } from "./modules.ts";
import {
  type BootOptions,
  type BootPlan,
  type Fact,
  mapFact,
  Placement,
  unusedOptions,
} from "./plan.ts";

/** `xEn3`, with bit 7 of the `E` set. */
const START_MAGIC = 0x336e_c578;
/** The first version of the structure with a memory map. */
const START_VERSION = 1;
const START_BYTES = 56;
const MODULE_BYTES = 32;
const MAP_ENTRY_BYTES = 24;
/** The longest command line, with its end; Linux takes 2047 bytes. */
const MAX_COMMAND_LINE = 4096;

/**
 * Plans the boot of an ELF kernel by its PVH entry: 32-bit protected mode, paging
 * off, EBX at `hvm_start_info`.
 *
 * @throws {ImageError}
 *
 * @example
 * ```ts
 * import { planPvh } from "./pvh.ts";
 * import { ramLayout } from "../memory/ram.ts";
 * const image = Deno.readFileSync("images/pvh-info.pvh");
 * console.log(planPvh(image, { ram: ramLayout(4 << 20) }).entry.mode); // "protected"
 * ```
 */
export function planPvh(image: Uint8Array, options: BootOptions): BootPlan {
  if (!isElf(image)) throw new ImageError("not an ELF file, so there is no PVH entry in it");
  const elf = parseElf(image);
  const { pvhEntry } = kernelNotes(elf);
  if (pvhEntry === undefined) {
    throw new ImageError("the ELF file has no note Xen 18 (PHYS32_ENTRY): it has no PVH entry");
  }
  if (pvhEntry >= 1n << 32n) {
    throw new ImageError(`ELF note Xen 18: the PVH entry ${hex(pvhEntry)} is above 4 GiB`);
  }
  const placement = new Placement(options.ram, options.reserved);
  placeElf(elf, placement);
  if (!placement.holds(pvhEntry)) {
    throw new ImageError(`ELF note Xen 18: the PVH entry ${hex(pvhEntry)} is in no segment`);
  }
  const modules = placeModules(placement, options.modules);
  const entry = protectedEntry(placement, pvhEntry);
  const info = putStartInfo(placement, modules, options);
  return {
    protocol: "pvh",
    description: `ELF${elf.bits} kernel with a PVH entry`,
    entry: { ...entry, registers: { rbx: info.gpa } },
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: [
      ...elfFacts(elf),
      ["pvh_entry", hex(pvhEntry), "from the ELF note Xen 18"],
      ...info.facts,
    ],
    warnings: [],
    unused: unusedOptions(options, ["loadAddress", "entry"]),
  };
}

/** Puts `hvm_start_info` and all that it points to in place, after the other tables. */
function putStartInfo(
  placement: Placement,
  modules: readonly PlacedModule[],
  options: BootOptions,
): { readonly gpa: bigint; readonly facts: Fact[] } {
  const commandLine = commandLineString(options, MAX_COMMAND_LINE);
  const mapAt = START_BYTES;
  const modulesAt = mapAt + placement.maxMapEntries * MAP_ENTRY_BYTES;
  const stringsAt = modulesAt + modules.length * MODULE_BYTES;
  const strings = [commandLine, ...modules.map((module) => module.text)];
  const total = strings.reduce((sum, text) => sum + text.length, stringsAt);
  const bytes = new Uint8Array(total);
  const base = placement.putTable("hvm_start_info", bytes);
  // The map must cover all tables, this one included.
  const map = placement.memoryMap();

  const view = new DataView(bytes.buffer);
  const put64 = (at: number, value: bigint): void => view.setBigUint64(at, value, true);
  const address = (at: number): bigint => base + BigInt(at);
  let end = stringsAt;
  const putString = (text: Uint8Array): bigint => {
    bytes.set(text, end);
    end += text.length;
    return address(end - text.length);
  };
  view.setUint32(0, START_MAGIC, true);
  view.setUint32(4, START_VERSION, true);
  view.setUint32(12, modules.length, true);
  put64(16, modules.length ? address(modulesAt) : 0n);
  const commandLineAt = putString(commandLine);
  put64(24, commandLineAt);
  put64(32, options.rsdp?.gpa ?? 0n);
  put64(40, address(mapAt));
  view.setUint32(48, map.length, true);
  bytes.set(encodeE820(map, MAP_ENTRY_BYTES), mapAt);
  modules.forEach(({ start, end, text }, i) => {
    const at = modulesAt + i * MODULE_BYTES;
    put64(at, start);
    put64(at + 8, end - start);
    put64(at + 16, putString(text));
  });
  return {
    gpa: base,
    facts: [
      ["hvm_start_info", hex(base), "handed over in EBX"],
      ["start_version", START_VERSION, "of the structure; 1 has the memory map"],
      ["modules", modules.map(({ start, end }) => ({ start: hex(start), end: hex(end) }))],
      ["command_line", hex(commandLineAt), "where the kernel finds it"],
      ["rsdp", hex(options.rsdp?.gpa ?? 0n), "ACPI root pointer; 0 is none"],
      mapFact("memory_map", map),
    ],
  };
}
