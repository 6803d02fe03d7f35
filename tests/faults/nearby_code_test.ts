/**
 * Instructions before RIP, in synthetic code.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { NearbyCode } from "../../src/faults/nearby_code.ts";
import { decoder } from "../../src/x86/instruction.ts";
import { CODE, protectedMode } from "../lib/fake_cpu.ts";
import { FakeMemory } from "../lib/fake_memory.ts";
import { code } from "../lib/guest.ts";

/** The instruction that is found to end behind a listing, among those with a mnemonic. */
function ending(listing: string, mnemonic: string): readonly [number, string] | undefined {
  const memory = new FakeMemory();
  const bytes = code(listing);
  memory.put(CODE, bytes);
  const end = BigInt(CODE + bytes.length);
  return new NearbyCode(protectedMode({ rip: end }), memory, decoder()).endingAt(
    end,
    (instruction, rip) =>
      instruction.mnemonic === mnemonic
        ? [Number(rip) - CODE, instruction.text] as const
        : undefined,
  );
}

Deno.test("the instruction that ends at RIP is found", () => {
  assertEquals(ending("40 e6 10", "Out"), [1, "out 0x10, al"]);
  assertEquals(ending("40 e6 10", "Hlt"), undefined);
});

Deno.test("of several that end there, the one counts to which the code before leads", () => {
  // mov cl, 0xf3; out 0x10, al: with 0xf3 as its prefix it would be an OUT as well.
  assertEquals(ending("90 90 b1 f3 e6 10", "Out"), [4, "out 0x10, al"]);
  // The same bytes where they are a prefix.
  assertEquals(ending("90 90 90 f3 e6 10", "Out")?.[0], 3);
});

Deno.test("code at the very start of memory has nothing before it", () => {
  const near = new NearbyCode(protectedMode({ rip: 1n }), new FakeMemory(), decoder());
  assertEquals(near.endingAt(0n, () => true), undefined);
});
