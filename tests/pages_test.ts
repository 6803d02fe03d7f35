import { assertEquals } from "@std/assert";
import { offsetInPage, pageOf, pagePieces } from "../src/pages.ts";

Deno.test("an access splits at page boundaries, in ascending order", () => {
  assertEquals([...pagePieces(0x1ff0n, 0x1020)], [
    { address: 0x1ff0n, offset: 0, sizeBytes: 0x10 },
    { address: 0x2000n, offset: 0x10, sizeBytes: 0x1000 },
    { address: 0x3000n, offset: 0x1010, sizeBytes: 0x10 },
  ]);
  assertEquals([...pagePieces(0x2000n, 0x1000)].length, 1);
  assertEquals([...pagePieces(0x2000n, 0)], []);
});

Deno.test("an address is its page and an offset", () => {
  const address = (1n << 64n) - 1n;
  assertEquals([pageOf(address), offsetInPage(address)], [0xffff_ffff_ffff_f000n, 0xfff]);
});
