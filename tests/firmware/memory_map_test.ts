import { assert, assertEquals } from "@std/assert";
import { encodeE820, MAX_MAP_ENTRIES, pcMemoryMap } from "../../src/firmware/memory_map.ts";
import { ramLayout } from "../../src/memory/ram.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** The map as lines: `start-end type`, in hex. */
function map(sizeBytes: number, tablesStart?: number): string[] {
  return pcMemoryMap(ramLayout(sizeBytes), tablesStart).map(({ gpa, sizeBytes, type }) =>
    `${gpa.toString(16)}-${(gpa + sizeBytes).toString(16)} ${type === 1 ? "ram" : "reserved"}`
  );
}

Deno.test("the low megabyte has the PC's reserved parts, the rest is RAM", () => {
  assertEquals(map(128 * MIB), [
    "0-9fc00 ram",
    "9fc00-a0000 reserved",
    "f0000-100000 reserved",
    "100000-8000000 ram",
  ]);
});

Deno.test("RAM continues above the hole below 4 GiB", () => {
  assertEquals(map(3 * GIB).at(-1), "100000-c0000000 ram");
  assertEquals(map(5 * GIB).slice(-2), ["100000-c0000000 ram", "100000000-180000000 ram"]);
});

Deno.test("a guest of less than 1 MiB has no entries above its RAM", () => {
  assertEquals(map(1 * MIB), ["0-9fc00 ram", "9fc00-a0000 reserved", "f0000-100000 reserved"]);
  assertEquals(map(0xf_8000).at(-1), "f0000-f8000 reserved");
  assertEquals(map(640 * KIB), ["0-9fc00 ram", "9fc00-a0000 reserved"]);
  assertEquals(map(0x9_f000), ["0-9f000 ram"]);
  assertEquals(map(4 * KIB), ["0-1000 ram"]);
});

Deno.test("tables at the end of RAM are reserved", () => {
  assertEquals(map(2 * MIB, 0x1f_e000), [
    "0-9fc00 ram",
    "9fc00-a0000 reserved",
    "f0000-100000 reserved",
    "100000-1fe000 ram",
    "1fe000-200000 reserved",
  ]);
  assertEquals(map(5 * GIB, 0xbfff_f000).slice(-3), [
    "100000-bffff000 ram",
    "bffff000-c0000000 reserved",
    "100000000-180000000 ram",
  ]);
  assertEquals(map(0x8_0000, 0x7_f000), ["0-7f000 ram", "7f000-80000 reserved"]);
});

Deno.test("whatever the sizes, entries ascend, do not overlap and stay within RAM", () => {
  const sizes = [4 * KIB, 0x9_f000, 0xa_0000, 0xf_1000, MIB, 2 * MIB, 3 * GIB, 4 * GIB, 64 * GIB];
  for (const size of sizes) {
    const [low] = ramLayout(size);
    const end = low!.sizeBytes;
    for (const tablesStart of [end, end - 0x1000, Math.min(end, 0x7000)]) {
      const entries = pcMemoryMap(ramLayout(size), tablesStart);
      assert(entries.length <= MAX_MAP_ENTRIES);
      let last = 0;
      for (const { gpa, sizeBytes } of entries) {
        assert(sizeBytes > 0 && gpa >= last, `${gpa} in ${map(size, tablesStart)}`);
        last = gpa + sizeBytes;
      }
      const ram = entries.filter(({ type, gpa }) => type === 1 && gpa < end);
      assert(ram.every(({ gpa, sizeBytes }) => gpa + sizeBytes <= tablesStart));
    }
  }
});

Deno.test("reserved ranges replace what lies there, with their own type", () => {
  const reserved = [
    { gpa: 0xf_0000, sizeBytes: 0x1000, type: 3 },
    { gpa: 0x12_0000, sizeBytes: 0x1000, type: 4 },
    { gpa: 0x1f_f000, sizeBytes: 0x1000, type: 2 },
    { gpa: 0xe000_0000, sizeBytes: 0x1000, type: 2 },
  ];
  const entries = pcMemoryMap(ramLayout(2 * MIB), undefined, reserved)
    .map(({ gpa, sizeBytes, type }) => [gpa, gpa + sizeBytes, type]);
  assertEquals(entries, [
    [0, 0x9_fc00, 1],
    [0x9_fc00, 0xa_0000, 2],
    [0xf_0000, 0xf_1000, 3],
    [0xf_1000, 0x10_0000, 2],
    [0x10_0000, 0x12_0000, 1],
    [0x12_0000, 0x12_1000, 4],
    [0x12_1000, 0x1f_f000, 1],
    [0x1f_f000, 0x20_0000, 2],
    [0xe000_0000, 0xe000_1000, 2],
  ]);
});

Deno.test("a reserved range that covers several entries replaces all of them", () => {
  const all = { gpa: 0, sizeBytes: 4 * MIB, type: 2 };
  assertEquals(pcMemoryMap(ramLayout(4 * MIB), undefined, [all]), [all]);
});

Deno.test("E820 entries are base, length and type, at any stride", () => {
  const entries = [{ gpa: 0x1234, sizeBytes: 2 ** 33, type: 1 }, { gpa: 0, sizeBytes: 1, type: 7 }];
  const view = new DataView(encodeE820(entries).buffer);
  assertEquals(view.byteLength, 40);
  assertEquals([view.getBigUint64(0, true), view.getBigUint64(8, true)], [0x1234n, 2n ** 33n]);
  assertEquals([view.getUint32(16, true), view.getUint32(36, true)], [1, 7]);
  const wide = new DataView(encodeE820(entries, 24, 4).buffer);
  assertEquals([wide.byteLength, wide.getUint32(0, true), wide.getUint32(44, true)], [48, 0, 7]);
});
