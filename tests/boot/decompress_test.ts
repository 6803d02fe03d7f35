import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { payloadFormat, unpackFile, unpackKernel } from "../../src/boot/decompress.ts";
import { ImageError } from "../../src/boot/image.ts";
import { elf, explain } from "../lib/images.ts";
import { bzImage, packedImage } from "../lib/linux.ts";
import { Random } from "../lib/random.ts";

/** An ELF file with something to compress for every format. */
const random = new Random(7);
const KERNEL = elf({
  segments: [{ bytes: Uint8Array.from({ length: 5000 }, () => random.below(4)) }],
});

function hexBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g)!, (digits) => parseInt(digits, 16));
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values).buffer);
}

/** With the size appended, as the kernel's build does. */
function sized(packed: Uint8Array, size = KERNEL.length): Uint8Array {
  return new Uint8Array([...packed, ...words(size)]);
}

function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  return bytes;
}

/** One block of literals: lz4 in its legacy format. */
function lz4(content: Uint8Array): Uint8Array {
  const extended = content.length - 15;
  const lengths = new Uint8Array(Math.floor(extended / 255) + 1).fill(255);
  lengths[lengths.length - 1] = extended % 255;
  const blockBytes = 1 + lengths.length + content.length;
  return concat(words(0x184c_2102, blockBytes), new Uint8Array([0xf0]), lengths, content);
}

const gzip = (content: Uint8Array) => new Uint8Array(gzipSync(content));
const zstd = (content: Uint8Array) => new Uint8Array(zstdCompressSync(content));

/** `7f 45 4c 46 02` and 59 zero bytes, by `xz --check=crc32 --x86 --lzma2`, as kernels are packed. */
const XZ_CONTENT = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, ...new Uint8Array(59)]);
const XZ = hexBytes(
  "fd377a585a0000016922de360201040021010800d2b974cbe0003f000c5d003f914584683d8584334000000065b1" +
    "b4f4000124401d15b2a79042990d010000000001595a",
);

async function refusal(image: Uint8Array): Promise<string> {
  return explain(await assertRejects(() => unpackKernel(image), ImageError));
}

Deno.test("gzip, zstd and lz4 are unpacked to the kernel", async () => {
  for (const payload of [gzip(KERNEL), sized(zstd(KERNEL)), sized(lz4(KERNEL))]) {
    assertEquals(await unpackKernel(packedImage(payload)), KERNEL, payloadFormat(payload));
  }
});

Deno.test("xz is unpacked, with the filter for x86 code that kernels are packed with", async () => {
  assertEquals(await unpackKernel(packedImage(sized(XZ, 64))), XZ_CONTENT);
});

Deno.test("an uncompressed kernel is passed through", async () => {
  assertEquals(await unpackKernel(packedImage(KERNEL)), KERNEL);
});

Deno.test("lz4 of more than one block is put together", async () => {
  const size = (8 << 20) + 100;
  const large = new Uint8Array(size);
  large.set(KERNEL);
  const first = lz4(large.subarray(0, 8 << 20));
  const second = lz4(large.subarray(8 << 20)).subarray(4);
  const kernel = await unpackKernel(packedImage(concat(first, second, words(size))));
  assertEquals(kernel.length, size);
  assertEquals(kernel.subarray(0, KERNEL.length), KERNEL);
});

Deno.test("formats are known by their first bytes", () => {
  assertEquals(payloadFormat(gzip(KERNEL)), "gzip");
  assertEquals(payloadFormat(XZ), "xz");
  assertEquals(payloadFormat(hexBytes("425a683931415926")), "bzip2");
  assertEquals(payloadFormat(hexBytes("5d00008000")), "lzma");
  assertEquals(payloadFormat(hexBytes("894c5a4f")), "lzo");
  assertEquals(payloadFormat(new Uint8Array()), "unknown");
});

Deno.test("a format that cannot be unpacked is named", async () => {
  assertEquals(
    await refusal(packedImage(hexBytes("425a683931415926"))),
    "the kernel is packed as bzip2; gzip, xz, zstd and lz4 can be unpacked",
  );
  assertEquals(
    await refusal(packedImage(hexBytes("0102030405"))),
    "the kernel is packed as unknown (01020304); gzip, xz, zstd and lz4 can be unpacked",
  );
});

Deno.test("an image without a packed kernel is refused", async () => {
  assertEquals(
    await refusal(bzImage()),
    "Linux setup header: payload_length 0x0: there is no packed kernel [decompress]",
  );
  assertEquals(
    await refusal(KERNEL),
    'Linux setup header: no "HdrS" at 0x202: not a Linux kernel',
  );
});

Deno.test("a payload that is not ELF is refused", async () => {
  const text = new Uint8Array(100).fill(0x20);
  assertEquals(
    await refusal(packedImage(gzip(text))),
    "packed kernel (gzip): its content is not an ELF file",
  );
});

Deno.test("a kernel of another size than the payload says is refused", async () => {
  for (
    const [name, packed] of [["zstd", zstd(KERNEL)], ["lz4", lz4(KERNEL)], ["xz", XZ]] as const
  ) {
    for (const size of [1, KERNEL.length - 1, KERNEL.length + 1]) {
      const message = await refusal(packedImage(sized(packed, size)));
      assert(message.startsWith(`packed kernel (${name}): `), message);
    }
  }
  assertEquals(
    await refusal(packedImage(sized(zstd(KERNEL), 0xffff_ffff))),
    "packed kernel (zstd): unpacked it has 0xffffffff bytes; this guest takes at most 0x40000000 " +
      "[memory]",
  );
});

Deno.test("a damaged payload is an error, or decompresses to the right size", async () => {
  const formats = [gzip(KERNEL), sized(zstd(KERNEL)), sized(lz4(KERNEL)), sized(XZ, 64)];
  for (let i = 0; i < 400; i++) {
    const payload = random.of(formats).slice();
    for (let n = 0; n <= random.below(3); n++) {
      payload[4 + random.below(payload.length - 4)] = random.below(256);
    }
    const cut = random.below(4) === 0
      ? payload.subarray(0, 8 + random.below(payload.length))
      : payload;
    try {
      const kernel = await unpackKernel(packedImage(cut));
      assert(kernel.length <= KERNEL.length + 1);
    } catch (error) {
      assert(error instanceof ImageError, String(error));
    }
  }
});

Deno.test("a file is decompressed as a whole, if it is compressed", async () => {
  for (
    const [format, packed] of [["gzip", gzip(KERNEL)], ["zstd", zstd(KERNEL)], ["xz", XZ]] as const
  ) {
    const { bytes, format: found } = (await unpackFile(packed, 1 << 20))!;
    assertEquals(found, format);
    assertEquals(bytes.subarray(0, 4), KERNEL.subarray(0, 4));
  }
  assertEquals(await unpackFile(KERNEL, 1 << 20), undefined);
});

Deno.test("a file that decompresses to more than allowed is refused, and does not take the memory", async () => {
  const zeros = gzip(new Uint8Array(64 << 20));
  assertEquals(
    explain(await assertRejects(() => unpackFile(zeros, 1 << 20), ImageError)),
    "compressed file (gzip): unpacked it has more than 0x100000 bytes [memory]",
  );
  for (const packed of [zstd(new Uint8Array(64 << 20)), XZ]) {
    const message = explain(await assertRejects(() => unpackFile(packed, 16), ImageError));
    assertStringIncludes(message, "unpacked it has more than 0x10 bytes [memory]");
  }
});

Deno.test("a damaged file is refused", async () => {
  const packed = gzip(KERNEL);
  packed[packed.length >> 1]! ^= 0xff;
  for (const file of [packed, gzip(KERNEL).subarray(0, 20)]) {
    const message = explain(await assertRejects(() => unpackFile(file, 1 << 20), ImageError));
    assertStringIncludes(message, "compressed file (gzip): damaged: ");
  }
});

Deno.test("a packed file that is cut anywhere is refused", async () => {
  const checked = zstdCompressSync(KERNEL, {
    params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 },
  });
  for (const packed of [gzip(KERNEL), XZ, zstd(KERNEL), new Uint8Array(checked)]) {
    const { format } = (await unpackFile(packed, 1 << 20))!;
    for (let end = 6; end < packed.length; end += packed.length > 1000 ? 97 : 1) {
      const error = await assertRejects(
        () => unpackFile(packed.subarray(0, end), 1 << 20),
        ImageError,
        undefined,
        `${format}, ${end} of ${packed.length} bytes`,
      );
      assertEquals(
        explain(error),
        `compressed file (${format}): damaged: unexpected end of file`,
      );
    }
  }
});

Deno.test("zstd may be several frames, of which some carry no data", async () => {
  const skipped = concat(words(0x184d_2a53, 3), new Uint8Array(3));
  const unpacked = await unpackFile(concat(zstd(KERNEL), skipped), 1 << 20);
  assertEquals(unpacked!.bytes, KERNEL);
});
