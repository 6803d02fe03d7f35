import { assert, assertEquals, assertFalse } from "@std/assert";
import { isRam, ramLayout } from "../../src/memory/ram.ts";

const GIB = 2 ** 30;

Deno.test("RAM up to 3 GiB is one range from 0 on", () => {
  for (const size of [4096, 128 << 20, 3 * GIB]) {
    assertEquals(ramLayout(size), [{ gpa: 0, sizeBytes: size }]);
  }
});

Deno.test("RAM beyond 3 GiB continues at 4 GiB, and none is lost", () => {
  assertEquals(ramLayout(3 * GIB + 4096), [
    { gpa: 0, sizeBytes: 3 * GIB },
    { gpa: 4 * GIB, sizeBytes: 4096 },
  ]);
  assertEquals(ramLayout(1000 * GIB)[1], { gpa: 4 * GIB, sizeBytes: 997 * GIB });
});

Deno.test("bytes are RAM when all of them are in one range", () => {
  const ram = ramLayout(5 * GIB);
  const inside: [bigint, number][] = [
    [0n, 1],
    [0n, 3 * GIB],
    [0xbfff_ffffn, 1],
    [0x1_0000_0000n, 2 * GIB],
    [0x1_7fff_ffffn, 1],
  ];
  for (const [gpa, size] of inside) assert(isRam(ram, gpa, size), `${gpa}+${size}`);
  const outside: [bigint, number][] = [
    [-1n, 1],
    [-1n, 2],
    [0xbfff_ffffn, 2],
    [0xc000_0000n, 1],
    [0xffff_ffffn, 2],
    [0n, 5 * GIB],
    [0x1_7fff_ffffn, 2],
    [0x1_8000_0000n, 1],
    [(1n << 64n) - 1n, 2],
  ];
  for (const [gpa, size] of outside) assertFalse(isRam(ram, gpa, size), `${gpa}+${size}`);
});
