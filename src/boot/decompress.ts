/**
 * Unpacks the kernel in a bzImage on the host: gzip, xz, zstd, lz4
 * (Linux Documentation/arch/x86/boot.rst, `payload_offset`).
 *
 * @module
 */

import { hex, hexBytes } from "../hex.ts";
import { isElf } from "./elf.ts";
import { ImageError, ImageReader } from "./image.ts";
import { parseLinuxHeader } from "./linux_header.ts";

/** Larger kernels are not believed. */
const MAX_KERNEL_BYTES = 2 ** 30;
/** Behind all formats but gzip, which ends with it, stands the size of the kernel. */
const SIZE_BYTES = 4;
/** Every block of lz4's legacy format but the last unpacks to so much. */
const LZ4_BLOCK_BYTES = 8 << 20;

type Unpack = (packed: Uint8Array, sizeBytes: number) => Uint8Array | Promise<Uint8Array>;

interface Format {
  readonly name: string;
  readonly magic: readonly number[];
  /** How to unpack it; formats without are known, but not supported. */
  readonly unpack?: Unpack;
}

const FORMATS: readonly Format[] = [
  { name: "gzip", magic: [0x1f, 0x8b], unpack: gunzip },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], unpack: unxz },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: unzstd },
  { name: "lz4", magic: [0x02, 0x21, 0x4c, 0x18], unpack: unlz4 },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "lzma", magic: [0x5d, 0x00, 0x00] },
  { name: "lzo", magic: [0x89, 0x4c, 0x5a, 0x4f] },
];

/**
 * The kernel in a bzImage: an ELF file.
 *
 * @throws {ImageError} when there is none, its format is not supported, or it is damaged
 *
 * @example
 * ```ts
 * import { unpackKernel } from "./decompress.ts";
 * const image = Deno.readFileSync("images/linux-info.bzimage");
 * console.log((await unpackKernel(image).catch((e) => e)).name); // "ImageError": it is not packed
 * ```
 */
export async function unpackKernel(image: Uint8Array): Promise<Uint8Array> {
  const { payload } = parseLinuxHeader(image);
  if (!payload) {
    throw new ImageError(
      "Linux setup header: payload_length 0x0: there is no packed kernel",
      { remedy: "decompress" },
    );
  }
  const format = payloadFormat(payload);
  if (format === "none") return payload;
  const known = FORMATS.find(({ name }) => name === format);
  if (!known?.unpack) {
    throw new ImageError(
      `the kernel is packed as ${
        known?.name ?? `unknown (${hexBytes(payload.subarray(0, 4))})`
      }; ` +
        "gzip, xz, zstd and lz4 can be unpacked",
    );
  }
  const what = `packed kernel (${format})`;
  const reader = new ImageReader(payload, what);
  const size = reader.u32(payload.length - SIZE_BYTES, "size behind the data");
  if (size > MAX_KERNEL_BYTES) {
    throw new ImageError(`${what}: unpacked it has ${hex(size)} bytes, more than any kernel`);
  }
  const packed = format === "gzip" ? payload : payload.subarray(0, -SIZE_BYTES);
  let kernel: Uint8Array;
  try {
    kernel = await known.unpack(packed, size);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError(`${what}: damaged: ${error instanceof Error ? error.message : error}`);
  }
  if (kernel.length !== size) {
    throw new ImageError(
      `${what}: unpacked it has ${hex(kernel.length)} bytes, but should have ${hex(size)}`,
    );
  }
  if (!isElf(kernel)) throw new ImageError(`${what}: what is in it is no ELF file`);
  return kernel;
}

/** How a kernel is packed: a format's name, `none` or `unknown`. */
export function payloadFormat(payload: Uint8Array): string {
  if (isElf(payload)) return "none";
  const format = FORMATS.find(({ magic }) => magic.every((byte, i) => payload[i] === byte));
  return format?.name ?? "unknown";
}

async function gunzip(packed: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const { gunzipSync } = await import("node:zlib");
  return plain(gunzipSync(packed, { maxOutputLength: Math.max(sizeBytes, 1) }));
}

async function unzstd(packed: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const { zstdDecompressSync } = await import("node:zlib");
  return plain(zstdDecompressSync(packed, { maxOutputLength: Math.max(sizeBytes, 1) }));
}

/** Node's buffers have a `slice` that does not copy. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

/** In pieces: a kernel's dictionary of 128 MiB leaves the decoder no room for all at once. */
async function unxz(packed: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const { createUnxz, initModule } = await import("./unpackers.ts");
  await initModule();
  const kernel = new Uint8Array(sizeBytes);
  let used = 0;
  const pieces = new Blob([new Uint8Array(packed)]).stream().pipeThrough(createUnxz());
  for await (const piece of pieces) {
    if (used + piece.length > sizeBytes) {
      throw new ImageError(`packed kernel (xz): unpacked it has more than ${hex(sizeBytes)} bytes`);
    }
    kernel.set(piece, used);
    used += piece.length;
  }
  return kernel.subarray(0, used);
}

/** The legacy frame format of lz4: blocks, each behind its packed size. */
async function unlz4(packed: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const { unpackLz4Block } = await import("./unpackers.ts");
  const reader = new ImageReader(packed, "packed kernel (lz4)");
  const kernel = new Uint8Array(sizeBytes);
  let used = 0;
  for (let at = 4; at < packed.length;) {
    const blockBytes = reader.u32(at, "block size");
    const block = reader.slice(BigInt(at) + 4n, BigInt(blockBytes), "block size");
    const unpackedBytes = Math.min(LZ4_BLOCK_BYTES, sizeBytes - used);
    // The decoder wants to know beforehand what comes out.
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
