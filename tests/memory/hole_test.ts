import { assertEquals, assertThrows } from "@std/assert";
import { cutHoles, type Hole, HoleError, type HoleKind } from "../../src/memory/hole.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { planSlots, slotAt } from "../../src/memory/slots.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

function hole(gpa: number, sizeBytes: number, kind: HoleKind = "noslot"): Hole {
  return { gpa, sizeBytes, kind };
}

function slotsOf(memoryBytes: number, ...holes: Hole[]): [number, number, string][] {
  const ram = ramLayout(memoryBytes);
  return planSlots(ram, cutHoles(ram, holes)).map((s) => [s.gpa, s.sizeBytes, s.kind]);
}

function refused(memoryBytes: number, holes: Hole[], message: string): void {
  assertThrows(() => cutHoles(ramLayout(memoryBytes), holes), HoleError, message);
}

Deno.test("without holes each range of RAM is one slot", () => {
  assertEquals(slotsOf(MIB), [[0, MIB, "ram"]]);
  assertEquals(slotsOf(5 * GIB), [[0, 3 * GIB, "ram"], [4 * GIB, 2 * GIB, "ram"]]);
});

Deno.test("holes in host memory do not split a slot", () => {
  for (const kind of ["none", "unmapped", "readonly", "truncated", "lazy"] as const) {
    assertEquals(slotsOf(MIB, hole(0x1000, 0x1000, kind)), [[0, MIB, "ram"]]);
  }
});

Deno.test("a hole without a slot splits RAM in two", () => {
  assertEquals(slotsOf(MIB, hole(0x1000, 0x2000)), [
    [0, 0x1000, "ram"],
    [0x3000, MIB - 0x3000, "ram"],
  ]);
});

Deno.test("holes at the start and at the end of RAM leave no empty slots", () => {
  assertEquals(slotsOf(0x3000, hole(0, 0x1000), hole(0x2000, 0x1000)), [[0x1000, 0x1000, "ram"]]);
});

Deno.test("adjacent holes each get their slot", () => {
  assertEquals(slotsOf(0x4000, hole(0x1000, 0x1000, "romslot"), hole(0x2000, 0x1000, "gmem")), [
    [0, 0x1000, "ram"],
    [0x1000, 0x1000, "rom"],
    [0x2000, 0x1000, "gmem"],
    [0x3000, 0x1000, "ram"],
  ]);
});

Deno.test("a hole across the 4 GiB line is cut at the device hole", () => {
  const across = hole(3 * GIB - 0x1000, GIB + 0x2000, "romslot");
  assertEquals(slotsOf(5 * GIB, across), [
    [0, 3 * GIB - 0x1000, "ram"],
    [3 * GIB - 0x1000, 0x1000, "rom"],
    [4 * GIB, 0x1000, "rom"],
    [4 * GIB + 0x1000, 2 * GIB - 0x1000, "ram"],
  ]);
});

Deno.test("a cut hole's file continues where the first piece ended", () => {
  const source = { name: "file", read: () => {} };
  const across = { ...hole(3 * GIB - 0x1000, GIB + 0x2000, "lazy"), source };
  const offsets = cutHoles(ramLayout(5 * GIB), [across]).map((piece) => piece.sourceOffset);
  assertEquals(offsets, [0, GIB + 0x1000]);
});

Deno.test("slots know where their memory is, behind RAM that has no slot too", () => {
  const ram = ramLayout(0x4000);
  const slots = planSlots(ram, cutHoles(ram, [hole(0x1000, 0x1000)]));
  assertEquals(slots.map((slot) => slot.offset), [0, 0x2000]);
  assertEquals(slotAt(slots, 0x1000), undefined);
  assertEquals(slotAt(slots, 0x2fff)?.id, 1);
  assertEquals(slotAt(slots, 0x4000), undefined);
});

Deno.test("holes that make no sense are refused with their values", () => {
  refused(MIB, [hole(0x1000, 0)], "0x1000+0x0:noslot has no size");
  refused(MIB, [hole(0x1001, 0x1000)], "not made of whole pages");
  refused(MIB, [hole(0x1000, 0x1800)], "not made of whole pages");
  refused(MIB, [hole(MIB, 0x1000)], "not within guest RAM (0x0..0x100000)");
  refused(MIB, [hole(MIB - 0x1000, 0x2000)], "not within guest RAM");
  refused(5 * GIB, [hole(3 * GIB, 0x1000)], "not within guest RAM");
  refused(MIB, [hole(0x1000, 0x2000), hole(0x2000, 0x1000, "none")], "overlap");
  refused(MIB, [hole(0x2000, 0x1000), hole(0x2000, 0x1000)], "overlap");
});
