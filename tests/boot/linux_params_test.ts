import { assertEquals } from "@std/assert";
import { memoryEnd, videoMode } from "../../src/boot/linux_params.ts";

Deno.test("vga= is a name or a number as in C, the last one counts, and nonsense means normal", () => {
  const expected: [string, number][] = [
    ["", 0xffff],
    ["vga=normal", 0xffff],
    ["vga=ext", 0xfffe],
    ["vga=ask", 0xfffd],
    ["vga=791", 791],
    ["vga=0x317", 0x317],
    ["vga=017", 0o17],
    ["quiet vga=1 vga=2", 2],
    ["xvga=1", 0xffff],
    ["vga=", 0xffff],
    ["vga=65536", 0xffff],
    ["vga=-1", 0xffff],
    ["vga=hello", 0xffff],
  ];
  for (const [line, mode] of expected) assertEquals(videoMode(line), mode, line);
});

Deno.test("mem= is a size with a suffix, the last one counts, and nonsense means nothing", () => {
  const expected: [string, bigint | undefined][] = [
    ["", undefined],
    ["mem=64M", 64n << 20n],
    ["mem=0x100000", 0x10_0000n],
    ["mem=010k", 8n << 10n],
    ["mem=1g mem=2G", 2n << 30n],
    ["mem=1E", 1n << 60n],
    ["mem=", undefined],
    ["mem=nopentium", undefined],
    ["memmap=4M", undefined],
  ];
  for (const [line, end] of expected) assertEquals(memoryEnd(line), end, line);
});
