/**
 * Compression formats by their first bytes; decompress.ts decompresses them. Apart,
 * so that detecting one loads no decompressor.
 *
 * @module
 */

const MAGICS = {
  gzip: [0x1f, 0x8b],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  lz4: [0x02, 0x21, 0x4c, 0x18], // the legacy frame, which kernels use
  "lz4 frame": [0x04, 0x22, 0x4d, 0x18],
  bzip2: [0x42, 0x5a, 0x68],
  lzma: [0x5d, 0x00, 0x00],
  lzo: [0x89, 0x4c, 0x5a, 0x4f],
} as const;

/** A compression format. */
export type Compression = keyof typeof MAGICS;

/**
 * How bytes are compressed, if they are.
 *
 * @example
 * ```ts
 * import { compressionOf } from "./compression.ts";
 * console.log(compressionOf(new Uint8Array([0x1f, 0x8b, 8, 0]))); // "gzip"
 * ```
 */
export function compressionOf(bytes: Uint8Array): Compression | undefined {
  const names = Object.keys(MAGICS) as Compression[];
  return names.find((name) => MAGICS[name].every((byte, i) => bytes[i] === byte));
}
