/**
 * The store that KVM has stepped past, on synthetic memory.
 */

import { assertEquals } from "@std/assert";
import { type CpuState, locate } from "../../src/faults/locate.ts";
import { findPassedStore } from "../../src/faults/passed_store.ts";
import { decoder as loadedDecoder } from "../../src/x86/instruction.ts";
import { CODE, long, protectedMode, real, REAL_CODE } from "../lib/fake_cpu.ts";
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
  data?: readonly number[],
): [string, number, bigint] | undefined {
  const memory = new FakeMemory();
  const bytes = code(listing);
  memory.put(at, bytes);
  const cpu = make(BigInt(at + bytes.length));
  const store = { gpa: BigInt(gpa), sizeBytes, data: data && Uint8Array.from(data) };
  const found = findPassedStore(cpu, memory, decoder, store);
  return found && [found.instruction.text, Number(found.rip) - at, found.gva];
}

Deno.test("a store to the GPA that ends at RIP is found", () => {
  const state = (rip: bigint) => protectedMode({ rip, rbx: BigInt(BAD) });
  assertEquals(passed("c6 43 08 5a", state, BAD + 8, 1), [
    "mov byte [ebx+8], 0x5a",
    0,
    BigInt(BAD + 8),
  ]);
});

Deno.test("a store in real mode is found by segment and offset", () => {
  const state = (rip: bigint) => real({ rip, rbx: 8n });
  const found = passed("88 07", state, 8, 1, REAL_CODE);
  assertEquals(found, ["mov [bx], al", 0, 8n]);
});

Deno.test("a push is found with the stack pointer that it left", () => {
  const state = (rip: bigint) => protectedMode({ rip, rsp: BigInt(BAD + 0x7fc) });
  assertEquals(passed("50", state, BAD + 0x7fc, 4), ["push eax", 0, BigInt(BAD + 0x7fc)]);
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

Deno.test("of two stores that end at RIP, the bytes stored or the code before tell which it was", () => {
  const state = (rbp: bigint) => (rip: bigint) => long(0n, { rip, rsp: BigInt(BAD), rbp });
  const flat = (make: (rip: bigint) => CpuState) => (rip: bigint): CpuState => {
    const cpu = make(rip);
    return { ...cpu, sregs: { ...cpu.sregs, cr0: 1n } }; // without paging
  };
  const stored = [0x55, 0, 0, 0, 0, 0, 0, 0];
  // push 0x55 ends with the byte of push rbp.
  assertEquals(passed("90 90 6a 55", flat(state(7n)), BAD, 8, CODE, stored)?.[0], "push 0x55");
  assertEquals(passed("90 90 6a 55", flat(state(7n)), BAD, 8)?.[0], "push 0x55");
  // mov eax, 0x6a; push rbp
  const listing = "90 90 b8 6a 00 00 6a 55";
  assertEquals(passed(listing, flat(state(0x55n)), BAD, 8, CODE, stored)?.[0], "push rbp");
  assertEquals(
    passed(listing, flat(state(7n)), BAD, 8, CODE, [7, 0, 0, 0, 0, 0, 0, 0])?.[0],
    "push rbp",
  );
});

Deno.test("a byte before the instruction that looks like a prefix is not taken for one", () => {
  const state = (rip: bigint) => protectedMode({ rip, rbx: BigInt(BAD) });
  // mov al, 0x3e; mov [ebx], cl
  const listing = "90 90 90 b0 3e 88 0b";
  assertEquals(passed(listing, state, BAD, 1), ["mov [ebx], cl", 5, BigInt(BAD)]);
});

Deno.test("string stores are found with the registers that they left", () => {
  const at = { rsi: BigInt(BAD + 4), rdi: BigInt(BAD + 0x2004) };
  const forward = (rip: bigint) => protectedMode({ rip, ...at });
  assertEquals(passed("a5", forward, BAD + 0x2000, 4), ["movsd", 0, BigInt(BAD + 0x2000)]);
  assertEquals(passed("aa", forward, BAD + 0x2003, 1), ["stosb", 0, BigInt(BAD + 0x2003)]);
  const backward = (rip: bigint) => protectedMode({ rip, ...at, rflags: 0x402n });
  assertEquals(passed("ab", backward, BAD + 0x2008, 4), ["stosd", 0, BigInt(BAD + 0x2008)]);
});

Deno.test("a REP that has not ended is found at RIP, with its counter as it was", () => {
  const memory = new FakeMemory();
  memory.put(CODE, code("f3 aa"));
  const cpu = protectedMode({ rcx: 4n, rdi: BigInt(BAD + 1), rax: 0x5an });
  const store = { gpa: BigInt(BAD), sizeBytes: 1, data: Uint8Array.of(0x5a) };
  const found = findPassedStore(cpu, memory, decoder, store);
  assertEquals([found?.rip, found?.regs.rcx, found?.regs.rdi], [BigInt(CODE), 5n, BigInt(BAD)]);
});

Deno.test("a call is found by the return address that it pushed", () => {
  const memory = new FakeMemory();
  memory.put(CODE, code("ff d0")); // call eax
  const cpu = protectedMode({ rip: 0x20_0000n, rsp: BigInt(BAD + 0x7fc), rax: 0x20_0000n });
  const data = Uint8Array.of(2, 0, 0x10, 0);
  const store = { gpa: BigInt(BAD + 0x7fc), sizeBytes: 4, data };
  const found = findPassedStore(cpu, memory, decoder, store);
  assertEquals([found?.instruction.text, found?.rip], ["call eax", BigInt(CODE)]);
  assertEquals(found?.regs.rsp, BigInt(BAD + 0x800));
});

Deno.test("the registers before a push are those that locate() needs to find the same address", () => {
  const memory = new FakeMemory();
  memory.put(CODE, code("6a 05"));
  const cpu = protectedMode({ rip: BigInt(CODE + 2), rsp: BigInt(BAD + 0x7fc) });
  const store = { gpa: BigInt(BAD + 0x7fc), sizeBytes: 4 };
  const found = findPassedStore(cpu, memory, decoder, store)!;
  const { candidates } = locate({ ...cpu, regs: found.regs }, memory, decoder);
  assertEquals(candidates.find((c) => c.kind === "operand")?.gpa, store.gpa);
});

Deno.test("POP to memory has moved the stack pointer, and counts from where it is", () => {
  const state = (rip: bigint) => protectedMode({ rip, rsp: BigInt(BAD) });
  assertEquals(passed("8f 44 24 04", state, BAD + 4, 4), ["pop dword [esp+4]", 0, BigInt(BAD + 4)]);
});

Deno.test("of PUSHA, KVM hands out the last push", () => {
  const state = (rip: bigint) => real({ rip, rsp: 0x100n });
  assertEquals(passed("60", state, 0x100, 2, REAL_CODE)?.[0], "pusha");
});

Deno.test("the second 8 bytes of a wide store are found", () => {
  const state = (rip: bigint) => protectedMode({ rip, rbx: BigInt(BAD) });
  assertEquals(passed("0f 11 03", state, BAD + 8, 8)?.[0], "movups [ebx], xmm0");
});
