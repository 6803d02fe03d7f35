/**
 * Pads an image, to measure what size costs.
 *
 * @module
 */

/** The padding. */
const FILLER = 0xa5;

/** Elf32_Ehdr (ELF specification, figure 1-3). */
const HEADER = { phoff: 28, shoff: 32, phnum: 44, shnum: 48, shstrndx: 50 } as const;
/** Elf32_Phdr (figure 2-1). */
const SEGMENT = { offset: 4, fileSize: 16, memorySize: 20 } as const;

/**
 * An ELF32 executable with one segment, padded to a given size, all of which are loaded:
 * padding follows the segment's bss. Section headers are dropped.
 *
 * @throws {RangeError} unless it has exactly one segment and is smaller than that
 */
export function paddedMultiboot(image: Uint8Array, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const from = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const segment = from.getUint32(HEADER.phoff, true);
  const segments = from.getUint16(HEADER.phnum, true);
  if (segments !== 1) throw new RangeError(`the image has ${segments} segments, not 1`);
  const offset = from.getUint32(segment + SEGMENT.offset, true);
  const inFile = from.getUint32(segment + SEGMENT.fileSize, true);
  const zeroed = from.getUint32(segment + SEGMENT.memorySize, true) - inFile;
  const used = offset + inFile;
  if (sizeBytes < used) throw new RangeError(`the image has ${used} bytes, not ${sizeBytes}`);
  const padded = new Uint8Array(sizeBytes);
  padded.set(image.subarray(0, used));
  padded.fill(FILLER, used + zeroed);
  const to = new DataView(padded.buffer);
  to.setUint32(HEADER.shoff, 0, true);
  to.setUint16(HEADER.shnum, 0, true);
  to.setUint16(HEADER.shstrndx, 0, true);
  to.setUint32(segment + SEGMENT.fileSize, sizeBytes - offset, true);
  to.setUint32(segment + SEGMENT.memorySize, Math.max(sizeBytes - offset, inFile + zeroed), true);
  return padded;
}
