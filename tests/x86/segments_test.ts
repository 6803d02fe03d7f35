import { assertEquals, assertThrows } from "@std/assert";
import { encodeGdt, flatSegment, realModeSegment } from "../../src/x86/segments.ts";

/** The 8-byte descriptors of a GDT. */
function descriptors(gdt: Uint8Array): bigint[] {
  return [...new BigUint64Array(gdt.buffer)];
}

Deno.test("a real-mode segment starts at 16 times its selector and spans 64 KiB", () => {
  const segment = realModeSegment(0xf000);
  assertEquals(segment.base, 0xf0000n);
  assertEquals(segment.limit, 0xffff);
  assertEquals(segment.selector, 0xf000);
  assertEquals([segment.type, segment.s, segment.present, segment.unusable], [3, 1, 1, 0]);
});

Deno.test("a real-mode CS is executable, readable and accessed", () => {
  assertEquals(realModeSegment(0, "code").type, 0xb);
});

Deno.test("the classic flat descriptors come out bit for bit", () => {
  const gdt = encodeGdt([
    flatSegment({ type: "code", bits: 32, selector: 0x08 }),
    flatSegment({ type: "data", bits: 32, selector: 0x10 }),
    flatSegment({ type: "code", bits: 64, selector: 0x18 }),
    flatSegment({ type: "code", bits: 64, selector: 0x23, dpl: 3 }),
    flatSegment({ type: "data", bits: 64, selector: 0x2b, dpl: 3 }),
  ]);
  assertEquals(descriptors(gdt), [
    0n,
    0x00cf9b000000ffffn,
    0x00cf93000000ffffn,
    0x00af9b000000ffffn,
    0x00affb000000ffffn,
    0x00cff3000000ffffn,
  ]);
});

Deno.test("base, byte-granular limit and AVL go to their scattered places", () => {
  const segment = {
    ...flatSegment({ type: "data", bits: 32, selector: 0x08 }),
    base: 0x12345678n,
    limit: 0xabcde,
    g: 0,
    avl: 1,
  };
  assertEquals(descriptors(encodeGdt([segment])), [0n, 0x125a93345678bcden]);
});

Deno.test("a segment stands at the place its selector names; gaps are null", () => {
  const gdt = encodeGdt([flatSegment({ type: "data", bits: 32, selector: 0x18 })]);
  assertEquals(descriptors(gdt), [0n, 0n, 0n, 0x00cf93000000ffffn]);
});

Deno.test("one selector may be listed for several registers, but not for two descriptors", () => {
  const data = flatSegment({ type: "data", bits: 32, selector: 0x10 });
  assertEquals(encodeGdt([data, data]).length, 24);
  const code = flatSegment({ type: "code", bits: 32, selector: 0x10 });
  assertThrows(() => encodeGdt([data, code]), RangeError, "selector 0x10");
});

Deno.test("null selectors and LDT selectors have no place in a GDT", () => {
  for (const selector of [0, 3, 0x0c]) {
    const segment = flatSegment({ type: "data", bits: 32, selector });
    assertThrows(() => encodeGdt([segment]), RangeError, `selector 0x${selector.toString(16)}`);
  }
});

Deno.test("what a descriptor cannot hold is refused", () => {
  const flat = flatSegment({ type: "data", bits: 32, selector: 0x08 });
  assertThrows(() => encodeGdt([{ ...flat, base: 1n << 32n }]), RangeError, "base 0x100000000");
  assertThrows(() => encodeGdt([{ ...flat, limit: 0xffff_fff0 }]), RangeError, "limit 0xfffffff0");
  assertThrows(() => encodeGdt([{ ...flat, g: 0 }]), RangeError, "limit 0xffffffff");
});
