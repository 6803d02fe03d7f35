import { assertEquals, assertThrows } from "@std/assert";
import { decode, encode, layout, type Scalar, sizeOf } from "../../ffi/layout.ts";

const POINT = layout("point", 8, { x: [0, "u32"], y: [4, "i32"] });
const SHAPE = layout("shape", 40, {
  id: [0, "u64"],
  name: [8, "u8", 4],
  origin: [16, POINT],
  corners: [24, POINT, 2],
});
const OVERLAY = layout("overlay", 8, { word: [0, "u64"], half: [0, "u32", 2] });

Deno.test("a scalar has its C size and a layout its own", () => {
  const scalars: Scalar[] = ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"];
  assertEquals(scalars.map(sizeOf), [1, 1, 2, 2, 4, 4, 8, 8]);
  assertEquals(sizeOf(SHAPE), 40);
});

Deno.test("a field past the layout's size is refused by name", () => {
  assertThrows(
    () => layout("bad", 7, { a: [0, "u32"], b: [4, "u32"] }),
    RangeError,
    "bad.b ends at 8, past the size 7",
  );
  assertThrows(() => layout("bad", 15, { list: [0, POINT, 2] }), RangeError, "bad.list ends at 16");
});

Deno.test("each scalar is little-endian and keeps its sign", () => {
  const bytes = new Uint8Array([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  const read = (type: Scalar): number | bigint =>
    decode(layout("one", 8, { value: [0, type] }), bytes).value;
  assertEquals(read("u8"), 0xfe);
  assertEquals(read("i8"), -2);
  assertEquals(read("u16"), 0xfffe);
  assertEquals(read("i16"), -2);
  assertEquals(read("u32"), 0xfffffffe);
  assertEquals(read("i32"), -2);
  assertEquals(read("u64"), 0xffff_ffff_ffff_fffen);
  assertEquals(read("i64"), -2n);
});

Deno.test("what was encoded for each scalar is decoded again", () => {
  const values: [Scalar, number | bigint][] = [
    ["u8", 0x81],
    ["i8", -127],
    ["u16", 0x8182],
    ["i16", -32000],
    ["u32", 0x81828384],
    ["i32", -2_000_000_000],
    ["u64", 0x8182_8384_8586_8788n],
    ["i64", -0x7182_8384_8586_8788n],
  ];
  for (const [type, value] of values) {
    const one = layout("one", 8, { value: [0, type] });
    assertEquals(decode(one, encode(one, { value })).value, value, type);
  }
});

Deno.test("arrays, nested structs and arrays of structs are written in place", () => {
  const bytes = encode(SHAPE, {
    id: 0x0102030405060708n,
    name: new Uint8Array([9, 10]),
    origin: { x: 11, y: -1 },
    corners: [{ x: 12, y: 13 }, { x: 14, y: 15 }],
  });
  // deno-fmt-ignore
  assertEquals(bytes, new Uint8Array([
    8, 7, 6, 5, 4, 3, 2, 1,
    9, 10, 0, 0, 0, 0, 0, 0,
    11, 0, 0, 0, 255, 255, 255, 255,
    12, 0, 0, 0, 13, 0, 0, 0,
    14, 0, 0, 0, 15, 0, 0, 0,
  ]));
});

Deno.test("arrays, nested structs and arrays of structs are read back", () => {
  const value = {
    id: 1n,
    name: new Uint8Array([1, 2, 3, 4]),
    origin: { x: 5, y: -6 },
    corners: [{ x: 7, y: -8 }, { x: 9, y: -10 }],
  };
  assertEquals(decode(SHAPE, encode(SHAPE, value)), value);
});

Deno.test("fields of a union are read from the same bytes", () => {
  const value = decode(OVERLAY, encode(OVERLAY, { half: [1, 2] }));
  assertEquals(value, { word: 0x0000_0002_0000_0001n, half: [1, 2] });
});

Deno.test("what a value leaves out stays as it was", () => {
  const bytes = new Uint8Array(40).fill(0xee);
  encode(SHAPE, { origin: { y: 0 }, corners: [{}, { x: 0 }] }, bytes);
  const untouched = bytes.map((byte) => byte === 0xee ? 1 : 0);
  assertEquals([...untouched.subarray(20, 24)], [0, 0, 0, 0]);
  assertEquals([...untouched.subarray(32, 36)], [0, 0, 0, 0]);
  assertEquals(untouched.reduce((sum, one) => sum + one, 0), 32);
});

Deno.test("an offset shifts reading and writing, also within a view of a buffer", () => {
  const view = new Uint8Array(new ArrayBuffer(32), 8, 16);
  encode(POINT, { x: 1, y: 2 }, view, 4);
  assertEquals(new Uint8Array(view.buffer)[12], 1);
  assertEquals(decode(POINT, view, 4), { x: 1, y: 2 });
});

Deno.test("a decoded byte array is a copy", () => {
  const bytes = encode(SHAPE, { name: new Uint8Array([1, 2, 3, 4]) });
  const { name } = decode(SHAPE, bytes);
  bytes.fill(0);
  assertEquals(name, new Uint8Array([1, 2, 3, 4]));
});

Deno.test("an array longer than its field is refused by name", () => {
  assertThrows(
    () => encode(SHAPE, { name: new Uint8Array(5) }),
    RangeError,
    "shape.name holds 4, got 5",
  );
});

Deno.test("too few bytes are refused before any is touched", () => {
  const bytes = new Uint8Array(9);
  assertThrows(() => decode(POINT, bytes, 2), RangeError, "point takes 8 bytes at 2, got 9");
  assertThrows(() => decode(POINT, bytes, -1), RangeError, "point takes 8 bytes at -1, got 9");
  assertThrows(() => encode(POINT, { x: 1 }, bytes, 2), RangeError, "point takes 8 bytes at 2");
  assertEquals(bytes, new Uint8Array(9));
});
