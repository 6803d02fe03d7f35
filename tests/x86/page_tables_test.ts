import { assert, assertEquals, assertThrows } from "@std/assert";
import { identityMap, type PagingRegisters, walk } from "../../src/x86/page_tables.ts";

const GIB = 1n << 30n;
const TIB = 1n << 40n;

const P = 1n;
const RW = 2n;
const US = 4n;
const PS = 0x80n;
const XD = 1n << 63n;
const ALL = P | RW | US;

const CR0_PAGING = 0x80000011n;
const PSE = 0x10n;
const PAE = 0x20n;
const LA57 = 0x1000n;
const LMA = 0x500n;
const NXE = 0x800n;

const NO_PAGING: PagingRegisters = { cr0: 0x11n, cr3: 0n, cr4: 0n, efer: 0n };
const BITS_32: PagingRegisters = { cr0: CR0_PAGING, cr3: 0x1000n, cr4: PSE, efer: 0n };
const BITS_PAE: PagingRegisters = { cr0: CR0_PAGING, cr3: 0x1020n, cr4: PAE, efer: NXE };
const FOUR_LEVEL: PagingRegisters = { cr0: CR0_PAGING, cr3: 0x1000n, cr4: PAE, efer: LMA | NXE };
const FIVE_LEVEL: PagingRegisters = { ...FOUR_LEVEL, cr4: PAE | LA57 };

/** Guest memory holding 8-byte entries; everything else reads as 0. */
function entries(table: Record<string, bigint>): (gpa: bigint) => bigint {
  const words = new Map(Object.entries(table).map(([gpa, entry]) => [BigInt(gpa), entry]));
  return (gpa) => {
    assertEquals(gpa % 8n, 0n, "entries are read 8-byte aligned");
    return words.get(gpa) ?? 0n;
  };
}

/** Guest memory holding 4-byte entries. */
function entries32(table: Record<string, bigint>): (gpa: bigint) => bigint {
  const halves = new Map(Object.entries(table).map(([gpa, entry]) => [BigInt(gpa), entry]));
  return entries(Object.fromEntries([...halves.keys()].map((gpa) => {
    const word = gpa & ~7n;
    return [String(word), (halves.get(word) ?? 0n) | (halves.get(word + 4n) ?? 0n) << 32n];
  })));
}

Deno.test("identityMap of a small guest is a PML4, a PDPT and four directories", () => {
  const asked: number[] = [];
  const { cr3, tables } = identityMap({
    sizeBytes: 128n << 20n,
    allocate: (pageCount) => {
      asked.push(pageCount);
      return 0x1000n;
    },
  });
  assertEquals(asked, [6]);
  assertEquals(cr3, 0x1000n);
  assertEquals(tables.map(({ gpa }) => gpa), [
    0x1000n,
    0x2000n,
    0x3000n,
    0x4000n,
    0x5000n,
    0x6000n,
  ]);
  for (const { bytes } of tables) assertEquals(bytes.length, 4096);
});

Deno.test("identityMap entries are present, writable and user, with PS only in directories", () => {
  const { tables } = identityMap({ sizeBytes: 0n, allocate: () => 0x1000n });
  const words = tables.map(({ bytes }) => new BigUint64Array(bytes.buffer));
  assertEquals(words[0]?.[0], 0x2007n);
  assertEquals(words[0]?.[1], 0n);
  assertEquals([...words[1]?.slice(0, 5) ?? []], [0x3007n, 0x4007n, 0x5007n, 0x6007n, 0n]);
  assertEquals([...words[2]?.slice(0, 2) ?? []], [0x87n, 0x200087n]);
  assertEquals(words[5]?.[511], 0xffe00087n);
});

for (
  const [size, end] of [
    [0n, 4n * GIB],
    [4n * GIB + 1n, 5n * GIB],
    [6n * GIB, 6n * GIB],
    [513n * GIB, 513n * GIB],
    [TIB, TIB],
  ] as const
) {
  Deno.test(`identityMap of 0x${size.toString(16)} bytes maps exactly 0x${end.toString(16)}`, () => {
    const { cr3, tables } = identityMap({ sizeBytes: size, allocate: () => 0x7000n });
    const pages = new Map(tables.map(({ gpa, bytes }) => [gpa, new DataView(bytes.buffer)]));
    const read = (gpa: bigint): bigint | undefined =>
      pages.get(gpa & ~0xfffn)?.getBigUint64(Number(gpa & 0xfffn), true);
    const registers = { ...FOUR_LEVEL, cr3 };
    for (const gva of [0n, 0x1fffffn, 0x200000n, 0xfee00123n, end / 2n + 5n, end - 1n]) {
      const result = walk(read, registers, gva);
      assert(result.mapped, `0x${gva.toString(16)} is mapped`);
      assertEquals([result.gpa, result.pageSize], [gva, 0x200000n]);
      assertEquals([result.writable, result.user, result.nx], [true, true, false]);
      assertEquals(result.steps.map(({ level }) => level), ["PML4", "PDPT", "PD"]);
    }
    const past = walk(read, registers, end);
    assert(!past.mapped && past.reason === "not present");
  });
}

Deno.test("identityMap refuses what four levels cannot map, and a misaligned place", () => {
  assertThrows(
    () => identityMap({ sizeBytes: (1n << 47n) + 1n, allocate: () => 0n }),
    RangeError,
    "0x800000000001",
  );
  assertThrows(
    () => identityMap({ sizeBytes: 0n, allocate: () => 0x1800n }),
    RangeError,
    "0x1800",
  );
});

Deno.test("with paging off, an address is itself, cut to 32 bits", () => {
  const result = walk(() => undefined, NO_PAGING, 0x1_0000_7c00n);
  assertEquals(result, {
    mapped: true,
    gpa: 0x7c00n,
    pageSize: 0x1000n,
    writable: true,
    user: true,
    nx: false,
    steps: [],
  });
});

Deno.test("4-level: a 4 KiB page is found through four entries, all listed", () => {
  // The address has index 1 at every level.
  const read = entries({
    0x1008: 0x2000n | ALL,
    0x2008: 0x3000n | ALL,
    0x3008: 0x4000n | ALL,
    0x4008: 0xabcde000n | ALL,
  });
  assertEquals(walk(read, FOUR_LEVEL, 0x80_4020_1abcn), {
    mapped: true,
    gpa: 0xabcdeabcn,
    pageSize: 0x1000n,
    writable: true,
    user: true,
    nx: false,
    steps: [
      { level: "PML4", entryGpa: 0x1008n, entry: 0x2007n },
      { level: "PDPT", entryGpa: 0x2008n, entry: 0x3007n },
      { level: "PD", entryGpa: 0x3008n, entry: 0x4007n },
      { level: "PT", entryGpa: 0x4008n, entry: 0xabcde007n },
    ],
  });
});

Deno.test("4-level: CR3's PCID and the software bits of entries are no address bits", () => {
  const read = entries({
    0x1000: 0x7ff0_0000_0000_2e07n,
    0x2000: 0x3007n,
    0x3000: 0x4007n,
    0x4000: 0x7ff0_0000_0000_5e07n,
  });
  const result = walk(read, { ...FOUR_LEVEL, cr3: 0x1fffn }, 0x10n);
  assert(result.mapped);
  assertEquals(result.gpa, 0x5010n);
});

Deno.test("4-level: 1 GiB and 2 MiB pages keep the low address bits", () => {
  const read = entries({
    0x1000: 0x2007n,
    0x2000: 5n * GIB | ALL | PS,
    0x2008: 0x3007n,
    0x3010: 0x1234_5600_0000n | ALL | PS,
  });
  const huge = walk(read, FOUR_LEVEL, 0x3fff_ffffn);
  assert(huge.mapped);
  assertEquals([huge.gpa, huge.pageSize], [6n * GIB - 1n, GIB]);
  const large = walk(read, FOUR_LEVEL, GIB + 0x41_2345n);
  assert(large.mapped);
  assertEquals([large.gpa, large.pageSize], [0x1234_5601_2345n, 0x200000n]);
});

Deno.test("the PAT bit of a large page is not an address bit", () => {
  const read = entries({ 0x1000: 0x2007n, 0x2000: 0x3007n, 0x3000: 0x40_1087n });
  const result = walk(read, FOUR_LEVEL, 0n);
  assert(result.mapped);
  assertEquals(result.gpa, 0x400000n);
});

Deno.test("one entry is enough to take write, user and execute rights away", () => {
  const table = { 0x1000: 0x2007n, 0x2000: 0x3007n, 0x3000: 0x4007n, 0x4000: 0x5007n };
  const rights = (at: number, entry: bigint): boolean[] => {
    const result = walk(entries({ ...table, [at]: entry }), FOUR_LEVEL, 0n);
    assert(result.mapped);
    return [result.writable, result.user, result.nx];
  };
  assertEquals(rights(0x1000, 0x2005n), [false, true, false]);
  assertEquals(rights(0x2000, 0x3003n), [true, false, false]);
  assertEquals(rights(0x3000, 0x4007n | XD), [true, true, true]);
  assertEquals(rights(0x4000, 0x5001n | XD), [false, false, true]);
});

Deno.test("upper-half addresses are canonical when sign-extended, and others are refused", () => {
  const read = entries({ 0x1ff8: 0x2007n, 0x2ff8: 0x4000_0000n | ALL | PS });
  const top = walk(read, FOUR_LEVEL, 0xffff_ffff_ffff_ffffn);
  assert(top.mapped);
  assertEquals(top.gpa, 0x7fff_ffffn);
  for (const gva of [0x8000_0000_0000n, 0xffff_7fff_ffff_ffffn, 1n << 63n]) {
    assertEquals(walk(read, FOUR_LEVEL, gva), {
      mapped: false,
      reason: "non-canonical",
      steps: [],
    });
  }
});

Deno.test("5-level: the PML5 comes first and 57 bits are canonical", () => {
  const read = entries({
    0x1008: 0x2007n,
    0x2000: 0x3007n,
    0x3000: 0x4007n,
    0x4000: 0x5007n,
    0x5000: 0x6007n,
  });
  const result = walk(read, FIVE_LEVEL, 0x1_0000_0000_0042n);
  assert(result.mapped);
  assertEquals(result.gpa, 0x6042n);
  assertEquals(result.steps.map(({ level }) => level), ["PML5", "PML4", "PDPT", "PD", "PT"]);
  const beyond = walk(read, FIVE_LEVEL, 1n << 56n);
  assert(!beyond.mapped);
  assertEquals(beyond.reason, "non-canonical");
});

Deno.test("a walk stops at the level whose entry is not present", () => {
  const chain = { 0x1000: 0x2007n, 0x2000: 0x3007n, 0x3000: 0x4007n, 0x4000: 0x5006n };
  const levels = ["PML4", "PDPT", "PD", "PT"] as const;
  levels.forEach((failedLevel, depth) => {
    const present = Object.entries(chain).slice(0, depth);
    const result = walk(entries(Object.fromEntries(present)), FOUR_LEVEL, 0n);
    assert(!result.mapped && result.reason === "not present");
    assertEquals(result.failedLevel, failedLevel);
    assertEquals(result.entryGpa, BigInt(0x1000 * (depth + 1)));
    assertEquals(result.steps.length, depth + 1);
  });
  const result = walk(entries(chain), FOUR_LEVEL, 0n);
  assert(!result.mapped && result.reason === "not present");
  assertEquals([result.failedLevel, result.entry], ["PT", 0x5006n]);
});

Deno.test("a walk stops at an entry that cannot be read, and says where it is", () => {
  const read = entries({ 0x1000: 0x2007n, 0x2000: 0xdead_f007n });
  const result = walk((gpa) => gpa >= 0x10000n ? undefined : read(gpa), FOUR_LEVEL, 0x20_0000n);
  assertEquals(result, {
    mapped: false,
    reason: "unreadable",
    failedLevel: "PD",
    entryGpa: 0xdeadf008n,
    entry: undefined,
    steps: [
      { level: "PML4", entryGpa: 0x1000n, entry: 0x2007n },
      { level: "PDPT", entryGpa: 0x2000n, entry: 0xdeadf007n },
    ],
  });
});

Deno.test("reserved bits stop a walk at their level", () => {
  const chain = { 0x1000: 0x2007n, 0x2000: 0x3007n, 0x3000: 0x4007n, 0x4000: 0x5007n };
  const reserved: [PagingRegisters, number, bigint, string][] = [
    [FOUR_LEVEL, 0x1000, 0x2007n | PS, "PML4"],
    [FIVE_LEVEL, 0x1000, 0x2007n | PS, "PML5"],
    [FOUR_LEVEL, 0x2000, 0x3007n | PS, "PDPT"],
    [FOUR_LEVEL, 0x3000, 0x4007n | PS, "PD"],
    [{ ...FOUR_LEVEL, efer: LMA }, 0x4000, 0x5007n | XD, "PT"],
  ];
  for (const [registers, at, entry, failedLevel] of reserved) {
    const result = walk(entries({ ...chain, [at]: entry }), registers, 0n);
    assert(!result.mapped && result.reason === "reserved", failedLevel);
    assertEquals([result.failedLevel, result.entry], [failedLevel, entry]);
  }
});

Deno.test("PAE: the PDPT is 32-byte aligned, has four entries and no rights", () => {
  const read = entries({
    // Entry 3 of the table at CR3 = 0x1020.
    0x1038: 0x2000n | P,
    0x2008: 0x3000n | ALL,
    0x3010: 0xf_0000_4000n | ALL | XD,
    0x2010: 0xe_0020_0000n | ALL | PS,
  });
  const small = walk(read, BITS_PAE, 0xc020_2abcn);
  assert(small.mapped);
  assertEquals([small.gpa, small.pageSize], [0xf_0000_4abcn, 0x1000n]);
  assertEquals([small.writable, small.user, small.nx], [true, true, true]);
  assertEquals(small.steps.map(({ level }) => level), ["PDPT", "PD", "PT"]);
  const large = walk(read, BITS_PAE, 0xffff_ffff_c041_2345n);
  assert(large.mapped);
  assertEquals([large.gpa, large.pageSize], [0xe_0021_2345n, 0x200000n]);
});

Deno.test("PAE: rights in a PDPT entry and bits 62:52 of any entry are reserved", () => {
  const good = { 0x1020: 0x2001n, 0x2000: 0x3007n, 0x3000: 0x4007n };
  assert(walk(entries(good), BITS_PAE, 0n).mapped);
  const bad: [number, bigint, string][] = [
    [0x1020, 0x2003n, "PDPT"],
    [0x1020, 0x2001n | XD, "PDPT"],
    [0x2000, 0x3007n | 1n << 52n, "PD"],
    [0x3000, 0x4007n | 1n << 62n, "PT"],
  ];
  for (const [at, entry, failedLevel] of bad) {
    const result = walk(entries({ ...good, [at]: entry }), BITS_PAE, 0n);
    assert(!result.mapped && result.reason === "reserved", `${failedLevel} ${entry.toString(16)}`);
    assertEquals(result.failedLevel, failedLevel);
  }
});

Deno.test("32-bit: entries are 4 bytes, at even and odd places", () => {
  const read = entries32({
    0x1000: 0x2007n,
    0x1004: 0x3005n,
    0x2004: 0xaaaa_a007n,
    0x3008: 0xbbbb_b003n,
  });
  const even = walk(read, BITS_32, 0x1123n);
  assert(even.mapped);
  assertEquals([even.gpa, even.writable, even.user], [0xaaaaa123n, true, true]);
  const odd = walk(read, BITS_32, 0x40_2456n);
  assert(odd.mapped);
  assertEquals([odd.gpa, odd.writable, odd.user, odd.nx], [0xbbbbb456n, false, false, false]);
  assertEquals(odd.steps, [
    { level: "PD", entryGpa: 0x1004n, entry: 0x3005n },
    { level: "PT", entryGpa: 0x3008n, entry: 0xbbbbb003n },
  ]);
  const missing = walk(read, BITS_32, 0x80_0000n);
  assert(!missing.mapped && missing.reason === "not present");
  assertEquals([missing.failedLevel, missing.entryGpa], ["PD", 0x1008n]);
});

Deno.test("32-bit: a 4 MiB page takes address bits 39:32 from the entry's bits 20:13", () => {
  const read = entries32({ 0x1ffc: 0xc000_0087n | 0xa5n << 13n });
  const result = walk(read, BITS_32, 0xffff_ffffn);
  assert(result.mapped);
  assertEquals([result.gpa, result.pageSize], [0xa5_c03f_ffffn, 0x400000n]);
});

Deno.test("32-bit: bit 21 of a 4 MiB page is reserved", () => {
  const read = entries32({ 0x1000: 0x87n | 1n << 21n });
  const result = walk(read, BITS_32, 0n);
  assert(!result.mapped && result.reason === "reserved");
});

Deno.test("32-bit: without CR4.PSE the PS bit means nothing", () => {
  const read = entries32({ 0x1000: 0x2087n, 0x2000: 0x5007n });
  const result = walk(read, { ...BITS_32, cr4: 0n }, 0x10n);
  assert(result.mapped);
  assertEquals([result.gpa, result.pageSize], [0x5010n, 0x1000n]);
});
