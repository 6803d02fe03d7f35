/**
 * Notes in ELF files, by which a kernel tells its loader how to boot it: the PVH
 * entry, and that it is Linux (System V ABI, chapter 5, "Note Section").
 *
 * @module
 */

import { hex } from "../hex.ts";
import { contentOf, type ElfImage, isElf, parseElf, type ProgramHeader } from "./elf_file.ts";
import { ImageError, ImageReader } from "./image.ts";

/** A note. Its owner defines what `type` means. */
export interface ElfNote {
  /** Who defines the type: `Xen`, `Linux`, `GNU`. */
  readonly owner: string;
  readonly type: number;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 12;
/** No kernel has more notes. */
const MAX_BYTES = 1n << 20n;
/** What owners and contents are padded to. Few linkers pack by 8, some that say 8 do not. */
const ALIGNMENTS = [4n, 8n] as const;

/**
 * All notes of an ELF file.
 *
 * @throws {ImageError} when notes lie outside the file or a note outside its segment
 *
 * @example
 * ```ts
 * import { parseElf } from "./elf_file.ts";
 * import { elfNotes } from "./elf_notes.ts";
 * const image = Deno.readFileSync("images/pvh-info.pvh");
 * console.log(elfNotes(parseElf(image)).map((note) => note.owner)); // ["Xen"]
 * ```
 */
export function elfNotes(elf: ElfImage): ElfNote[] {
  return elf.notes.flatMap((header) => notesOf(elf.file, header));
}

/** The notes of one segment, by whichever padding makes sense of them. */
function notesOf(file: Uint8Array, header: ProgramHeader): ElfNote[] {
  if (header.fileSizeBytes > MAX_BYTES) {
    throw new ImageError(
      `ELF program header ${header.index}: p_filesz ${hex(header.fileSizeBytes)} is more than ` +
        "a kernel's notes have",
    );
  }
  const bytes = contentOf(file, header);
  const what = `ELF note in program header ${header.index}`;
  const alignments = header.alignment === 8n ? ALIGNMENTS.toReversed() : ALIGNMENTS;
  const attempts = alignments.map((alignment) => readNotes(bytes, what, alignment));
  const best = attempts.find(({ notes, error }) => !error && notes.every(isSane)) ??
    attempts.find(({ error }) => !error);
  if (!best) throw attempts[0]!.error;
  return best.notes;
}

/** Whether an owner looks like a name; one that does not was read from the wrong place. */
function isSane({ owner }: ElfNote): boolean {
  return /^[\x20-\x7e]*$/.test(owner);
}

function readNotes(
  bytes: Uint8Array,
  what: string,
  align: bigint,
): { readonly notes: ElfNote[]; readonly error?: ImageError } {
  const notes: ElfNote[] = [];
  const reader = new ImageReader(bytes, what);
  const up = (offset: bigint): bigint => (offset + align - 1n) & ~(align - 1n);
  try {
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
  } catch (error) {
    if (error instanceof ImageError) return { notes, error };
    throw error;
  }
  return { notes };
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, 64)));
}

/** Of the owner `Xen`: the 32-bit physical address of the PVH entry (XEN_ELFNOTE_PHYS32_ENTRY). */
const PHYS32_ENTRY = 18;
/** `Xen`, with its end. */
const XEN = [0x58, 0x65, 0x6e, 0];

/** How an ELF kernel's notes ask to be booted. */
export interface KernelNotes {
  /** The entry of the PVH protocol, a physical address. */
  readonly pvhEntry?: bigint;
  /** The file is a Linux kernel. */
  readonly linux: boolean;
  /** There are notes for Xen, but none with a PVH entry: a paravirtualized kernel. */
  readonly xenOnly: boolean;
  /** Why some notes cannot be read, where they do not look like a kernel's. */
  readonly unreadable?: string;
}

/**
 * Finds the notes of kernels.
 *
 * @throws {ImageError} when the PVH note, or notes that Xen owns, are malformed
 */
export function kernelNotes(elf: ElfImage): KernelNotes {
  const notes: ElfNote[] = [];
  let unreadable: string | undefined;
  for (const header of elf.notes) {
    try {
      notes.push(...notesOf(elf.file, header));
    } catch (error) {
      if (!(error instanceof ImageError) || mentionsXen(elf.file, header)) throw error;
      unreadable ??= error.message;
    }
  }
  const linux = notes.some((note) => note.owner === "Linux");
  const pvh = notes.find((note) => note.owner === "Xen" && note.type === PHYS32_ENTRY);
  return {
    linux,
    xenOnly: !pvh && notes.some((note) => note.owner === "Xen"),
    ...(pvh ? { pvhEntry: pvhEntry(pvh) } : {}),
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

/** Whether a segment of notes has Xen's name in it. */
function mentionsXen(file: Uint8Array, { fileOffset, fileSizeBytes }: ProgramHeader): boolean {
  if (fileSizeBytes > MAX_BYTES) return false;
  const bytes = file.subarray(Number(fileOffset), Number(fileOffset + fileSizeBytes));
  return bytes.some((_, at) => XEN.every((byte, i) => bytes[at + i] === byte));
}

function pvhEntry({ bytes }: ElfNote): bigint {
  // 64-bit kernels write a pointer.
  const { length } = bytes;
  if (length !== 4 && length !== 8) {
    throw new ImageError(
      `ELF note Xen ${PHYS32_ENTRY}: n_descsz ${
        hex(length)
      } is not the size of an address (4 or 8)`,
    );
  }
  const reader = new ImageReader(bytes, "ELF note Xen");
  return length === 8 ? reader.u64(0, "PHYS32_ENTRY") : BigInt(reader.u32(0, "PHYS32_ENTRY"));
}

/** The notes of a file, or `undefined` where it is not ELF. @throws {ImageError} */
export function kernelNotesOf(image: Uint8Array): KernelNotes | undefined {
  return isElf(image) ? kernelNotes(parseElf(image)) : undefined;
}
