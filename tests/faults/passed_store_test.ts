/**
 * The store that KVM has stepped past, on memory that is made up.
 */

import { assertEquals } from "@std/assert";
import type { CpuState } from "../../src/faults/locate.ts";
import { findPassedStore } from "../../src/faults/passed_store.ts";
import { decoder as loadedDecoder } from "../../src/x86/instruction.ts";
import { CODE, protectedMode, real, REAL_CODE } from "../lib/fake_cpu.ts";
import { FakeMemory } from "../lib/fake_memory.ts";
import { code } from "../lib/guest.ts";

const decoder = loadedDecoder();
const BAD = 0x30_0000;

/** What is found when RIP is behind `listing`: the instruction, its RIP and its linear address. */
function passed(
  listing: string,
  make: (rip: bigint) => CpuState,
  gpa: number,
  sizeBytes: number,
  at = CODE,
): [string, number, bigint] | undefined {
  const memory = new FakeMemory();
  const bytes = code(listing);
  memory.put(at, bytes);
  const cpu = make(BigInt(at + bytes.length));
  const store = findPassedStore(cpu, memory, decoder, { gpa: BigInt(gpa), sizeBytes });
  return store && [store.instruction.text, Number(store.rip), store.gva];
}

Deno.test("a store to the GPA that ends at RIP is found", () => {
  const state = (rip: bigint) => protectedMode({ rip, rbx: BigInt(BAD) });
  assertEquals(passed("c6 43 08 5a", state, BAD + 8, 1), [
    "mov byte [ebx+8], 0x5a",
    CODE,
    BigInt(BAD + 8),
  ]);
});

Deno.test("a store in real mode is found by segment and offset", () => {
  const state = (rip: bigint) => real({ rip, rbx: 8n });
  const found = passed("88 07", state, 8, 1, REAL_CODE);
  assertEquals(found, ["mov [bx], al", REAL_CODE, 8n]);
});

Deno.test("a push is found with the stack pointer that it left", () => {
  const state = (rip: bigint) => protectedMode({ rip, rsp: BigInt(BAD + 0x7fc) });
  assertEquals(passed("50", state, BAD + 0x7fc, 4), ["push eax", CODE, BigInt(BAD + 0x7fc)]);
});

Deno.test("the second half of a store across two pages is found", () => {
  const state = (rip: bigint) => protectedMode({ rip, rbx: BigInt(BAD + 0xffe) });
  assertEquals(passed("89 03", state, BAD + 0x1000, 2)?.[0], "mov [ebx], eax");
});

Deno.test("a store to another address, a load and other code are none", () => {
  const state = (rip: bigint) => protectedMode({ rip, rbx: BigInt(BAD) });
  assertEquals(passed("88 43 09", state, BAD + 8, 1), undefined);
  assertEquals(passed("8a 43 08", state, BAD + 8, 1), undefined);
  assertEquals(passed("90 90 90", state, BAD + 8, 1), undefined);
});

Deno.test("RIP at the start of memory, or behind a page without translation, finds none", () => {
  const memory = new FakeMemory();
  assertEquals(
    findPassedStore(protectedMode({ rip: 0n }), memory, decoder, {
      gpa: BigInt(BAD),
      sizeBytes: 1,
    }),
    undefined,
  );
});
