/**
 * Whether packed data is all there. The decoders of xz and zstd take the end of their input for the
 * end of the data: without this, half a file would be booted.
 *
 * @module
 */

const ZSTD_MAGIC = 0xfd2f_b528;
/** Of frames that carry no data: the low four bits are free. */
const ZSTD_SKIPPABLE_MAGIC = 0x184d_2a50;
const ZSTD_RLE_BLOCK = 1;

/** The frames of zstd (RFC 8878, 3.1.1 and 3.1.2). @throws {Error} where one is cut */
export function requireWholeZstd(packed: Uint8Array): void {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  for (let at = 0; at < packed.length;) {
    const magic = view.getUint32(within(packed, at, 4), true);
    if ((magic & ~0xf) === ZSTD_SKIPPABLE_MAGIC) {
      at += 8 + view.getUint32(within(packed, at + 4, 4), true);
    } else if (magic === ZSTD_MAGIC) at = endOfZstdFrame(view, packed, at);
    else return;
    within(packed, at, 0);
  }
}

function endOfZstdFrame(view: DataView, packed: Uint8Array, start: number): number {
  const descriptor = packed[within(packed, start + 4, 1)]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 4) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3]!;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  let at = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes;
  for (let isLast = false; !isLast;) {
    within(packed, at, 3);
    const header = view.getUint16(at, true) | packed[at + 2]! << 16;
    isLast = (header & 1) !== 0;
    at += 3 + ((header >> 1 & 3) === ZSTD_RLE_BLOCK ? 1 : header >> 3);
  }
  return at + (hasChecksum ? 4 : 0);
}

/**
 * The footer of a stream of xz, behind which only zeros may follow
 * (The .xz File Format, 2.1.2 and 2.2).
 *
 * @throws {Error} where it is missing
 */
export function requireWholeXz(packed: Uint8Array): void {
  let end = packed.length;
  while (end > 0 && packed[end - 1] === 0) end--;
  const [y, z] = packed.subarray(Math.max(end - 2, 0), end);
  if (y !== 0x59 || z !== 0x5a) throw new Error(CUT);
}

const CUT = "unexpected end of file";

/** The offset, where so many bytes are there. */
function within(packed: Uint8Array, at: number, sizeBytes: number): number {
  if (at + sizeBytes > packed.length) throw new Error(CUT);
  return at;
}
