/**
 * Notes in ELF files, by which a kernel tells its loader how to boot it: the PVH
 * entry, and that it is Linux (System V ABI, chapter 5, "Note Section").
 *
 * @module
 */

import { hex } from "../hex.ts";
import { type ElfImage, isElf, parseElf } from "./elf.ts";
import { ImageError, ImageReader } from "./image.ts";

/** A note. Its owner defines what `type` means. */
export interface ElfNote {
  /** Who defines the type: `Xen`, `Linux`, `GNU`. */
  readonly owner: string;
  readonly type: number;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 12;
/** Owners and contents stand at multiples of this, whatever p_align says, unless it says 8. */
const ALIGNMENT = 4n;

/**
 * All notes of an ELF file.
 *
 * @throws {ImageError} when one reaches beyond its segment
 *
 * @example
 * ```ts
 * import { parseElf } from "./elf.ts";
 * import { elfNotes } from "./elf_notes.ts";
 * const image = Deno.readFileSync("images/pvh-info.pvh");
 * console.log(elfNotes(parseElf(image)).map((note) => note.owner)); // ["Xen"]
 * ```
 */
export function elfNotes(elf: ElfImage): ElfNote[] {
  const notes: ElfNote[] = [];
  for (const { index, bytes, alignment } of elf.notes) {
    const what = `ELF note in program header ${index}`;
    const align = alignment === 8n ? 8n : ALIGNMENT;
    const reader = new ImageReader(bytes, what);
    const up = (offset: bigint): bigint => (offset + align - 1n) & ~(align - 1n);
    for (let at = 0n; at + BigInt(HEADER_BYTES) <= BigInt(bytes.length);) {
      const ownerBytes = BigInt(reader.u32(Number(at), "n_namesz"));
      const contentBytes = BigInt(reader.u32(Number(at) + 4, "n_descsz"));
      const type = reader.u32(Number(at) + 8, "n_type");
      const ownerAt = at + BigInt(HEADER_BYTES);
      const contentAt = up(ownerAt + ownerBytes);
      const owner = reader.slice(ownerAt, ownerBytes, "n_namesz");
      const content = reader.slice(contentAt, contentBytes, "n_descsz");
      notes.push({ owner: text(owner), type, bytes: content });
      at = up(contentAt + contentBytes);
    }
  }
  return notes;
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, 64)));
}

/** Of the owner `Xen`: the 32-bit physical address of the PVH entry (XEN_ELFNOTE_PHYS32_ENTRY). */
const PHYS32_ENTRY = 18;

/** How an ELF kernel's notes ask to be booted. */
export interface KernelNotes {
  /** The entry of the PVH protocol, a physical address. */
  readonly pvhEntry?: bigint;
  /** The file is a Linux kernel. */
  readonly linux: boolean;
}

/**
 * Finds the notes of kernels.
 *
 * @throws {ImageError} when the file or a note is malformed
 */
export function kernelNotes(elf: ElfImage): KernelNotes {
  const notes = elfNotes(elf);
  const linux = notes.some((note) => note.owner === "Linux");
  const pvh = notes.find((note) => note.owner === "Xen" && note.type === PHYS32_ENTRY);
  if (!pvh) return { linux };
  // 64-bit kernels write a pointer.
  const { length } = pvh.bytes;
  if (length !== 4 && length !== 8) {
    throw new ImageError(
      `ELF note Xen ${PHYS32_ENTRY}: n_descsz ${
        hex(length)
      } is not the size of an address (4 or 8)`,
    );
  }
  const reader = new ImageReader(pvh.bytes, "ELF note Xen");
  const pvhEntry = length === 8
    ? reader.u64(0, "PHYS32_ENTRY")
    : BigInt(reader.u32(0, "PHYS32_ENTRY"));
  return { linux, pvhEntry };
}

/** The notes of a file, or `undefined` where it is not ELF. @throws {ImageError} */
export function kernelNotesOf(image: Uint8Array): KernelNotes | undefined {
  return isElf(image) ? kernelNotes(parseElf(image)) : undefined;
}
