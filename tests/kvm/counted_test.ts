import { assertEquals } from "@std/assert";
import { layout } from "../../ffi/layout.ts";
import { type Counted, decodeCounted, encodeCounted } from "../../src/kvm/counted.ts";

const PAIR = layout("pair", 4, { low: [0, "u16"], high: [2, "u16"] });
const PAIRS: Counted<typeof PAIR> = { headerBytes: 8, entry: PAIR };

Deno.test("the header counts the entries that follow it", () => {
  const bytes = encodeCounted(PAIRS, [{ low: 1, high: 2 }, { high: 0x304 }]);
  assertEquals([...bytes], [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 4, 3]);
  assertEquals(encodeCounted(PAIRS, []), new Uint8Array(8));
});

Deno.test("as many entries are read as the header counts, or as were asked for", () => {
  const bytes = encodeCounted(PAIRS, [{ low: 1, high: 2 }, { low: 3, high: 4 }]);
  assertEquals(decodeCounted(PAIRS, bytes), [{ low: 1, high: 2 }, { low: 3, high: 4 }]);
  assertEquals(decodeCounted(PAIRS, bytes, 1), [{ low: 1, high: 2 }]);
  bytes[0] = 1;
  assertEquals(decodeCounted(PAIRS, bytes), [{ low: 1, high: 2 }]);
});
