/**
 * Position-independent ELF files (`-static-pie`): applies their relative
 * relocations, since no operating system's startup code does, and distinguishes
 * them from dynamically linked programs (System V ABI, chapter 5, "Dynamic Section").
 *
 * @module
 */

import { contentOf, type ElfImage, type ElfSegment } from "./elf_file.ts";

const DT_NEEDED = 1n;
const DT_RELA = 7n;
const DT_RELASZ = 8n;
const RELA_BYTES = 24;
/** No dynamic section is larger. */
const MAX_DYNAMIC_BYTES = 1n << 16n;
/** The most segments of a file whose relocations are applied; linkers make about six. */
const MAX_SEGMENTS = 16;
const R_X86_64_RELATIVE = 8;

/** Whether a program needs shared libraries, and so an operating system. */
export function needsLibraries(elf: ElfImage): boolean {
  return dynamicEntries(elf).has(DT_NEEDED);
}

/**
 * The segments with relative relocations applied, for the addresses that the file
 * is linked to. Only RELA has addends that are not in place already, and so only
 * 64-bit files need it.
 */
export function relocatedSegments(elf: ElfImage): readonly ElfSegment[] {
  const entries = dynamicEntries(elf);
  const [address, size] = [entries.get(DT_RELA), entries.get(DT_RELASZ)];
  if (elf.bits === 32 || address === undefined || size === undefined) return elf.segments;
  if (elf.segments.length > MAX_SEGMENTS) return elf.segments;
  const table = bytesAt(elf.segments, address, size);
  if (!table) return elf.segments;
  const segments = elf.segments.map((segment) => ({ ...segment, bytes: segment.bytes.slice() }));
  const relocations = viewOf(table);
  for (let at = 0; at + RELA_BYTES <= table.length; at += RELA_BYTES) {
    if (relocations.getUint32(at + 8, true) !== R_X86_64_RELATIVE) continue;
    const target = bytesAt(segments, relocations.getBigUint64(at, true), 8n);
    if (target) viewOf(target).setBigUint64(0, relocations.getBigUint64(at + 16, true), true);
  }
  return segments;
}

/** The dynamic section: values by their tags. What cannot be read has none. */
function dynamicEntries({ file, bits, dynamic }: ElfImage): Map<bigint, bigint> {
  const entries = new Map<bigint, bigint>();
  if (
    !dynamic || dynamic.fileSizeBytes > MAX_DYNAMIC_BYTES ||
    dynamic.fileOffset + dynamic.fileSizeBytes > BigInt(file.length)
  ) return entries;
  const view = viewOf(contentOf(file, dynamic));
  const wordBytes = bits / 8;
  const word = (at: number): bigint =>
    bits === 64 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
  for (let at = 0; at + 2 * wordBytes <= view.byteLength; at += 2 * wordBytes) {
    const tag = word(at);
    if (tag === 0n) break;
    if (!entries.has(tag)) entries.set(tag, word(at + wordBytes));
  }
  return entries;
}

/** Loaded bytes by their virtual address. */
function bytesAt(
  segments: readonly ElfSegment[],
  address: bigint,
  sizeBytes: bigint,
): Uint8Array | undefined {
  for (const { virtualAddress, bytes } of segments) {
    const offset = address - virtualAddress;
    if (offset >= 0n && offset + sizeBytes <= BigInt(bytes.length)) {
      return bytes.subarray(Number(offset), Number(offset + sizeBytes));
    }
  }
  return undefined;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
