import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { ImageError } from "../../src/boot/image.ts";
import { MAX_MAP_ENTRIES } from "../../src/firmware/memory_map.ts";
import { entryAddress, Placement, unusedOptions } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const BYTE = new Uint8Array(1);

function placement(sizeBytes = 4 * MIB): Placement {
  return new Placement(ramLayout(sizeBytes));
}

Deno.test("what is put takes its place, and empty pieces are dropped", () => {
  const memory = placement();
  memory.put("code", 0x1000n, BYTE, 0x10);
  memory.put("nothing", 1n << 63n, new Uint8Array());
  assertEquals(memory.segments, [{ name: "code", gpa: 0x1000n, bytes: BYTE, sizeBytes: 0x10 }]);
  assert(memory.holds(0x1000n) && memory.holds(0x100fn));
  assertFalse(memory.holds(0xfffn) || memory.holds(0x1010n));
});

Deno.test("a place is refused that is not RAM or not free", () => {
  const memory = placement(5 * GIB);
  memory.put("code", 0x1000n, BYTE, 0x10);
  assertThrows(
    () => memory.put("data", 0x100fn, BYTE),
    ImageError,
    "data at [0x100f, +0x1) overlaps code at [0x1000, +0x10)",
  );
  for (const gpa of [-1n, 0xc000_0000n, 0xffff_ffffn, 0x1_8000_0000n, 1n << 64n]) {
    assertThrows(() => memory.put("data", gpa, BYTE), ImageError, "is not within guest RAM");
  }
  assertThrows(() => memory.put("data", 0xbfff_ffffn, BYTE, 2), ImageError, "is not within");
  memory.put("data", 0x1_7fff_ffffn, BYTE);
});

Deno.test("tables are put on free pages from 0x1000 on, then downwards from the end of RAM", () => {
  const memory = placement();
  memory.put("code", 0x2000n, BYTE);
  assertEquals(memory.findPages("a table", 1), 0x1000n);
  assertEquals(memory.findPages("a table", 0x1001), 0x3000n);
  assertEquals(memory.findPages("a table", 0x4000), 0x3000n);
  assertEquals(memory.findPages("a table", 0x4001), 0x3f_b000n);
  memory.put("data", 0x3f_f800n, BYTE);
  assertEquals(memory.findPages("a table", 0x5000), 0x3f_a000n);
});

Deno.test("where tables begin at the end of RAM is known", () => {
  const memory = placement();
  assertEquals(memory.tablesStart, 4 * MIB);
  assertEquals(memory.putTable("low", BYTE), 0x1000n);
  assertEquals(memory.tablesStart, 4 * MIB);
  memory.putTable("high", new Uint8Array(0x8000));
  assertEquals(memory.tablesStart, 4 * MIB - 0x8000);
  memory.putTable("higher", new Uint8Array(0x7000));
  assertEquals(memory.tablesStart, 4 * MIB - 0xf000);
});

Deno.test("tables that have no room are refused", () => {
  for (const sizeBytes of [0x1000, 0x6000, 0x1_0000]) {
    assertThrows(
      () => placement(sizeBytes).findPages("a table", sizeBytes),
      ImageError,
      "no room in guest RAM for a table",
    );
  }
  const full = placement();
  full.put("code", 0n, BYTE, 4 * MIB);
  assertThrows(() => full.findPages("a table", 1), ImageError, "(0x1000 bytes)");
});

Deno.test("the end of low segments is a page boundary; those above 4 GiB do not count", () => {
  const memory = placement(5 * GIB);
  assertEquals(memory.endOfLowSegments(), 0n);
  memory.put("code", 0x1000n, BYTE);
  assertEquals(memory.endOfLowSegments(), 0x2000n);
  memory.put("data", 0x5000n, BYTE, 0x1000);
  memory.put("high", 0x1_0000_0000n, BYTE);
  assertEquals(memory.endOfLowSegments(), 0x6000n);
});

Deno.test("nothing is put into reserved ranges, and the memory map has them", () => {
  const reserved = [
    { gpa: 0x1000, sizeBytes: 0x1000, type: 2 },
    { gpa: 0x3f_f000, sizeBytes: 0x1000, type: 3 },
  ];
  const memory = new Placement(ramLayout(4 * MIB), reserved);
  assertThrows(
    () => memory.put("code", 0x1fffn, BYTE),
    ImageError,
    "code at [0x1fff, +0x1) overlaps reserved memory at [0x1000, +0x1000)",
  );
  assertEquals(memory.findPages("a table", 1), 0x2000n);
  assertEquals(memory.findPages("a table", 0x6000), 0x3f_9000n);
  assertFalse(memory.holds(0x1000n), "what is reserved was not put there");
  assertEquals(memory.memoryMap().at(-1), reserved[1]);
  assertEquals(memory.maxMapEntries, MAX_MAP_ENTRIES + 4);
});

Deno.test("room below an address is found on page boundaries, as high as there is any", () => {
  const memory = placement();
  assertEquals(memory.findBelow(0x20_0800n, 0x800n, 0n), 0x20_0000n);
  assertEquals(memory.findBelow(1n << 40n, 1n, 0n), 0x3f_f000n, "in RAM");
  memory.put("data", 0x1f_f000n, BYTE, 0x1000);
  assertEquals(memory.findBelow(0x20_0000n, 0x1000n, 0n), 0x1f_e000n);
  assertEquals(memory.findBelow(0x20_0000n, 0x1000n, 0x1f_f000n), undefined);
  assertEquals(memory.tablesStart, 4 * MIB, "it does not count as a table");
});

Deno.test("the first instruction's address counts from CS's base in real mode only", () => {
  const selectors = { code: 0x1020, data: 0x1000 };
  assertEquals(entryAddress({ mode: "real", rip: 4n, rsp: 0n, selectors }), 0x1_0204n);
  assertEquals(entryAddress({ mode: "long", rip: 4n, rsp: 0n, selectors }), 4n);
});

Deno.test("an unused option is named when it was given, not when it is empty", () => {
  const all = ["commandLine", "modules", "loadAddress", "entry"] as const;
  const ram = ramLayout(MIB);
  assertEquals(unusedOptions({ ram, commandLine: "", modules: [] }, all), []);
  assertEquals(unusedOptions({ ram, entry: 0n }, all), [
    "entry",
  ]);
  assertEquals(unusedOptions({ ram, entry: 0n }, ["modules"]), []);
});
