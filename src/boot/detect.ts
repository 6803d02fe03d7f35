/**
 * Detects an image's boot protocol and calls its loader: the way from an image file
 * to a {@linkcode BootPlan}.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { planElf } from "./elf.ts";
import { compressionOf } from "./compression.ts";
import { kernelNotesOf } from "./elf_notes.ts";
import { planFlat } from "./flat.ts";
import { foreignFormat, isDiskImage } from "./foreign.ts";
import { ImageError } from "./image.ts";
import { planLinux } from "./linux.ts";
import { isLinux } from "./linux_header.ts";
import { findMultibootHeader, planMultiboot } from "./multiboot.ts";
import { findMultiboot2Header, planMultiboot2 } from "./multiboot2.ts";
import { misplacedHeader } from "./multiboot_search.ts";
import { BOOT_PROTOCOLS, type BootOptions, type BootPlan, type BootProtocol } from "./plan.ts";
import { planPvh } from "./pvh.ts";

const BOOT_SECTOR_BYTES = 512;
const REAL_MODE_NAME = /\.(bin16|boot)$/;
const OTHER_FLAT_NAMES: readonly [RegExp, BootProtocol][] = [
  [/\.bin32$/, "flat32"],
  [/\.bin64$/, "flat64"],
];

/**
 * An image's boot protocol, by its headers or, for flat images, its name.
 *
 * @param name the file's name
 * @throws {ImageError} when there is none
 */
export function detectProtocol(image: Uint8Array, name: string): BootProtocol {
  if (image.length === 0) throw new ImageError("the file is empty");
  if (isLinux(image)) return "linux";
  if (findMultibootHeader(image)) return "multiboot";
  if (findMultiboot2Header(image)) return "multiboot2";
  const notes = kernelNotesOf(image);
  if (notes) return notes.pvhEntry !== undefined ? "pvh" : notes.linux ? "linux" : "elf";
  const signed = image.length === BOOT_SECTOR_BYTES && image[510] === 0x55 && image[511] === 0xaa;
  if (signed || REAL_MODE_NAME.test(name)) return "flat16";
  const byName = OTHER_FLAT_NAMES.find(([pattern]) => pattern.test(name));
  if (byName) return byName[1];
  const unknown = "not a format that vmexit knows";
  const foreign = foreignFormat(image) ?? compressed(image);
  if (foreign !== undefined) throw new ImageError(`${unknown}: it is ${foreign}`);
  const misplaced = misplacedHeader(image);
  if (misplaced !== undefined) throw new ImageError(`${unknown}: ${misplaced}`);
  if (isDiskImage(image)) {
    throw new ImageError(
      `${unknown}: it is a disk image that begins with a boot sector, and there are no disks; ` +
        "as flat16 the whole file is loaded at 0x7c00",
      { remedy: { option: "boot", value: "flat16" } },
    );
  }
  throw new ImageError(
    `${unknown}; if it is a flat binary, say how to enter it: as flat16, ` +
      `flat32 or flat64 (all choices: auto, ${BOOT_PROTOCOLS.join(", ")})`,
    { remedy: "boot" },
  );
}

function compressed(image: Uint8Array): string | undefined {
  const format = compressionOf(image);
  return format && `compressed (${format}); decompress it first`;
}

/**
 * Plans the boot of an image.
 *
 * @param name the file's name, for `auto` and for kernels that get it
 * @throws {ImageError} when the image is malformed or does not fit
 *
 * @example
 * ```ts
 * import { planBoot } from "./detect.ts";
 * const ram = [{ gpa: 0, sizeBytes: 1 << 20 }];
 * const plan = planBoot(new Uint8Array([0xf4]), "halt.bin16", "auto", { ram });
 * console.log(plan.entry.rip); // 0x7c00n
 * ```
 */
export function planBoot(
  image: Uint8Array,
  name: string,
  protocol: BootProtocol | "auto",
  options: BootOptions,
): BootPlan {
  const chosen = protocol === "auto" ? detectProtocol(image, name) : protocol;
  const plan = planBy(chosen, image, name === "" ? options : { imageName: name, ...options });
  const doubts = protocol === "auto" && chosen === "elf" ? elfDoubts(image) : [];
  const warnings = [...doubts, ...plan.warnings, ...overwrittenTables(plan, options)];
  return { ...plan, warnings };
}

function planBy(protocol: BootProtocol, image: Uint8Array, options: BootOptions): BootPlan {
  switch (protocol) {
    case "flat16":
    case "flat32":
    case "flat64":
      return planFlat(image, protocol, options);
    case "elf":
      return planElf(image, options);
    case "multiboot":
      return !findMultibootHeader(image) && findMultiboot2Header(image)
        ? planMultiboot2(image, options)
        : planMultiboot(image, options);
    case "multiboot2":
      return planMultiboot2(image, options);
    case "pvh":
      return planPvh(options.payload ?? image, options);
    case "linux":
    case "linux:16":
    case "linux:32":
    case "linux:64":
      return planLinux(image, protocol, options);
  }
}

/** Signs that an ELF file detected as a plain executable is a kernel of another protocol. */
function elfDoubts(image: Uint8Array): string[] {
  const { unreadable, xenOnly } = kernelNotesOf(image)!;
  const misplaced = misplacedHeader(image);
  return [
    ...(unreadable === undefined
      ? []
      : [`${unreadable}; should it name a PVH entry, that is not used`]),
    ...(xenOnly ? ["the file has notes for Xen, but no PVH entry (note 18)"] : []),
    ...(misplaced === undefined ? [] : [misplaced]),
  ];
}

function overwrittenTables({ segments }: BootPlan, { tables = [] }: BootOptions): string[] {
  return segments.flatMap(({ name, gpa, sizeBytes }) => {
    const start = Number(gpa);
    const table = tables.find((t) => start < t.gpa + t.bytes.length && t.gpa < start + sizeBytes);
    return table ? [`${name} overwrites the firmware's ${table.name} at ${hex(table.gpa)}`] : [];
  });
}
