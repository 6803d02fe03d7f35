/**
 * Decompresses kernels on the host: whole image files, and the kernel in a bzImage,
 * so that no guest time goes into it (Linux Documentation/arch/x86/boot.rst,
 * `payload_offset`). No format gets more memory than its caller allows.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import { hex, hexBytes } from "../hex.ts";
import { type Compression, compressionOf } from "./compression.ts";
import { isElf } from "./elf_file.ts";
import { ImageError, ImageReader } from "./image.ts";
import { parseLinuxHeader } from "./linux_header.ts";
import { requireWholeXz, requireWholeZstd } from "./packed_end.ts";

/** No kernel is larger. */
const MAX_KERNEL_BYTES = 2 ** 30;
/** The kernel's size, appended to all formats but gzip, which ends with it anyway. */
const SIZE_BYTES = 4;
/** What every block of lz4's legacy format but the last decompresses to. */
const LZ4_BLOCK_BYTES = 8 << 20;

/** How much is handed to a streaming decompressor at once: some thousand times as much comes out. */
const PIECE_BYTES = 4096;

/** Decompresses to at most `maxBytes`, or fails. */
type Unpack = (packed: Uint8Array, maxBytes: number) => Uint8Array | Promise<Uint8Array>;

/** The formats of files. */
const FILE_FORMATS: { readonly [name in Compression]?: Unpack } = {
  gzip: gunzip,
  xz: unxz,
  zstd: unzstd,
};
/** The formats of kernels in a bzImage. */
const KERNEL_FORMATS: { readonly [name in Compression]?: Unpack } = {
  ...FILE_FORMATS,
  lz4: unlz4,
};

/** A decompressed file, and its format. */
export interface UnpackedFile {
  readonly bytes: Uint8Array;
  readonly format: Compression;
}

/**
 * Decompresses a whole file.
 *
 * @param maxBytes the most that it may decompress to
 * @returns `undefined` where it is not compressed
 * @throws {ImageError} when it is damaged, too large or in an unsupported format
 *
 * @example
 * ```ts
 * import { unpackFile } from "./decompress.ts";
 * console.log(await unpackFile(new Uint8Array([0xf4]), 1 << 20)); // undefined
 * ```
 */
export async function unpackFile(
  file: Uint8Array,
  maxBytes: number,
): Promise<UnpackedFile | undefined> {
  const format = compressionOf(file);
  const unpack = format && FILE_FORMATS[format];
  if (!unpack) return undefined;
  const what = `compressed file (${format})`;
  const bytes = await unpackOrExplain(unpack, file, maxBytes, what, "memory");
  return { bytes, format };
}

/**
 * The kernel in a bzImage: an ELF file.
 *
 * @param maxBytes the most that it may decompress to
 * @throws {ImageError} when there is none, or it is damaged, too large or in an unsupported format
 *
 * @example
 * ```ts
 * import { unpackKernel } from "./decompress.ts";
 * const image = Deno.readFileSync("images/linux-info.bzimage");
 * console.log((await unpackKernel(image).catch((e) => e)).name); // "ImageError": it is not packed
 * ```
 */
export async function unpackKernel(
  image: Uint8Array,
  maxBytes = MAX_KERNEL_BYTES,
): Promise<Uint8Array> {
  const { payload } = parseLinuxHeader(image);
  if (!payload) {
    throw new ImageError(
      "Linux setup header: payload_length 0x0: there is no packed kernel",
      { remedy: "decompress" },
    );
  }
  const format = payloadFormat(payload);
  if (format === "none") return payload;
  const unpack = format === "unknown" ? undefined : KERNEL_FORMATS[format];
  if (!unpack) {
    const name = format === "unknown" ? `unknown (${hexBytes(payload.subarray(0, 4))})` : format;
    throw new ImageError(
      `the kernel is packed as ${name}; gzip, xz, zstd and lz4 can be unpacked`,
    );
  }
  const what = `packed kernel (${format})`;
  const reader = new ImageReader(payload, what);
  const size = reader.u32(payload.length - SIZE_BYTES, "size behind the data");
  if (size > maxBytes) {
    throw new ImageError(
      `${what}: unpacked it has ${hex(size)} bytes; this guest takes at most ${hex(maxBytes)}`,
      { remedy: "memory" },
    );
  }
  const packed = format === "gzip" ? payload : payload.subarray(0, -SIZE_BYTES);
  const kernel = await unpackOrExplain(unpack, packed, size, what);
  if (kernel.length !== size) {
    throw new ImageError(
      `${what}: unpacked it has ${hex(kernel.length)} bytes, but should have ${hex(size)}`,
    );
  }
  if (!isElf(kernel)) throw new ImageError(`${what}: its content is not an ELF file`);
  return kernel;
}

/** The payload's compression, `none` or `unknown`. */
export function payloadFormat(payload: Uint8Array): Compression | "none" | "unknown" {
  return isElf(payload) ? "none" : compressionOf(payload) ?? "unknown";
}

/** Something decompresses to more than it may. */
class TooLargeError extends Error {}

async function unpackOrExplain(
  unpack: Unpack,
  packed: Uint8Array,
  maxBytes: number,
  what: string,
  remedy?: "memory",
): Promise<Uint8Array> {
  try {
    return await unpack(packed, maxBytes);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const { message, code } = error as Error & { code?: string };
    if (error instanceof TooLargeError || code === "ERR_BUFFER_TOO_LARGE") {
      throw new ImageError(
        `${what}: unpacked it has more than ${hex(maxBytes)} bytes`,
        remedy ? { remedy } : {},
      );
    }
    throw new ImageError(`${what}: damaged: ${message}`);
  }
}

async function gunzip(packed: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const { gunzipSync } = await import("node:zlib");
  return plain(gunzipSync(packed, { maxOutputLength: Math.max(maxBytes, 1) }));
}

async function unzstd(packed: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  requireWholeZstd(packed);
  const { zstdDecompressSync } = await import("node:zlib");
  return plain(zstdDecompressSync(packed, { maxOutputLength: Math.max(maxBytes, 1) }));
}

/** A plain array: the `slice` of Node's buffers does not copy. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

/** Streamed: with a kernel's dictionary of 128 MiB, the decoder has no room for all at once. */
async function unxz(packed: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  requireWholeXz(packed);
  const { createUnxz, initModule } = await import("./unpackers.ts");
  await initModule();
  const pieces: Uint8Array[] = [];
  let used = 0;
  for await (const piece of inPieces(packed).pipeThrough(createUnxz())) {
    used += piece.length;
    if (used > maxBytes) throw new TooLargeError();
    pieces.push(new Uint8Array(piece));
  }
  return concat(pieces);
}

/** Bytes in small pieces, so that the output of each is bounded. */
function inPieces(bytes: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const piece = bytes.slice(at, at += PIECE_BYTES);
      if (piece.length > 0) controller.enqueue(new Uint8Array(piece));
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

/** The legacy frame format of lz4: blocks, each preceded by its compressed size. */
async function unlz4(packed: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const { unpackLz4Block } = await import("./unpackers.ts");
  const reader = new ImageReader(packed, "packed kernel (lz4)");
  const kernel = new Uint8Array(maxBytes);
  let used = 0;
  for (let at = 4; at < packed.length;) {
    const blockBytes = reader.u32(at, "block size");
    const block = reader.slice(BigInt(at) + 4n, BigInt(blockBytes), "block size");
    const unpackedBytes = Math.min(LZ4_BLOCK_BYTES, maxBytes - used);
    // The decoder needs the decompressed size up front.
    const sized = new Uint8Array(4 + blockBytes);
    new DataView(sized.buffer).setUint32(0, unpackedBytes, true);
    sized.set(block, 4);
    const unpacked = unpackLz4Block(sized);
    if (unpacked.length !== unpackedBytes) {
      throw new ImageError(
        `packed kernel (lz4): the block at ${hex(at)} unpacks to ${hex(unpacked.length)} bytes, ` +
          `not ${hex(unpackedBytes)}`,
      );
    }
    kernel.set(unpacked, used);
    used += unpacked.length;
    at += 4 + blockBytes;
  }
  return kernel.subarray(0, used);
}
