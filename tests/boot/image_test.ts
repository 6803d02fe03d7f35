import { assertEquals, assertThrows } from "@std/assert";
import { ImageError, ImageReader } from "../../src/boot/image.ts";

const BYTES = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9]);

Deno.test("fields are little-endian, at any offset", () => {
  const reader = new ImageReader(BYTES, "a header");
  assertEquals(reader.u16(1, "field"), 0x0302);
  assertEquals(reader.u32(5, "field"), 0x0908_0706);
  assertEquals(reader.u64(1, "field"), 0x0908_0706_0504_0302n);
  assertEquals([...reader.slice(7n, 2n, "field")], [8, 9]);
  assertEquals(reader.slice(9n, 0n, "field").length, 0);
});

Deno.test("offsets are relative to the part that is read", () => {
  assertEquals(new ImageReader(BYTES.subarray(4), "a part").u16(0, "field"), 0x0605);
});

Deno.test("a field past the end is refused with the bytes that it needs", () => {
  const reader = new ImageReader(BYTES, "a header");
  const message = (needs: string) =>
    `a header: field needs bytes ${needs}, but the file ends at 0x9; it is truncated or damaged`;
  const refused: [() => unknown, string][] = [
    [() => reader.u16(8, "field"), "0x8 to 0xa"],
    [() => reader.u32(6, "field"), "0x6 to 0xa"],
    [() => reader.u64(2, "field"), "0x2 to 0xa"],
    [() => reader.slice(10n, 0n, "field"), "0xa to 0xa"],
    [
      () => reader.slice((1n << 64n) - 1n, 2n, "field"),
      "0xffffffffffffffff to 0x10000000000000001",
    ],
  ];
  for (const [read, needs] of refused) assertThrows(read, ImageError, message(needs));
});
