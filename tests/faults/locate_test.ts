/**
 * Where a fault is, on synthetic memory and vCPU states: R6 without KVM.
 */

import { assert, assertEquals } from "@std/assert";
import type { Candidate } from "../../src/faults/candidate.ts";
import { type CpuState, locate } from "../../src/faults/locate.ts";
import { CR0, CR4, EFER } from "../../src/x86/control_registers.ts";
import { decoder as loadedDecoder } from "../../src/x86/instruction.ts";
import { CODE, long, protectedMode, real, REAL_CODE } from "../lib/fake_cpu.ts";
import { ENTRY, FakeMemory, LARGE, mapLong, TABLES } from "../lib/fake_memory.ts";
import { code } from "../lib/guest.ts";

const decoder = loadedDecoder();

const BAD = 0x30_0000;
const { PML4, PDPT, PD, PT } = TABLES;

/** Memory with the instructions at the place where the state's code begins. */
function memoryWith(listing: string, at = CODE): FakeMemory {
  const memory = new FakeMemory();
  memory.put(at, code(listing));
  return memory;
}

/** The place of the first bad access: kind, GPA, access. */
function found(
  cpu: CpuState,
  memory: FakeMemory,
): [string, bigint | undefined, string] | undefined {
  const location = locate(cpu, memory, decoder);
  const bad = location.found;
  return bad && [bad.kind, bad.gpa, bad.access];
}

function sources(cpu: CpuState, memory: FakeMemory): string[] {
  return locate(cpu, memory, decoder).candidates.map((c: Candidate) => `${c.source} ${c.access}`);
}

Deno.test("good memory has no fault, and every access is listed", () => {
  const memory = memoryWith("8b 03"); // mov eax, [ebx]
  const cpu = protectedMode({ rbx: BigInt(BAD) });
  const location = locate(cpu, memory, decoder);
  assertEquals(location.found, undefined);
  assertEquals(location.instruction?.text, "mov eax, [ebx]");
  assert(location.candidates.some((c) => c.kind === "operand" && c.gpa === BigInt(BAD)));
});

Deno.test("a fetch from a bad page is the fault, and no instruction is named", () => {
  const memory = memoryWith("8b 03").break(CODE);
  const location = locate(protectedMode(), memory, decoder);
  assertEquals(location.instruction, undefined);
  assertEquals(found(protectedMode(), memory), ["fetch", BigInt(CODE), "fetch"]);
});

Deno.test("an instruction that straddles into a bad page faults at that page's start", () => {
  const at = CODE + 0xffe;
  const memory = memoryWith("8b 05 00 00 31 00", at).break(CODE + 0x1000); // mov eax, [0x310000]
  const cpu = protectedMode({ rip: BigInt(at) });
  assertEquals(found(cpu, memory), ["fetch", BigInt(CODE + 0x1000), "fetch"]);
});

Deno.test("an instruction that ends with its page does not fetch the next one", () => {
  const at = CODE + 0xffe;
  const memory = memoryWith("8b 03", at).break(CODE + 0x1000).break(BAD);
  const cpu = protectedMode({ rip: BigInt(at), rbx: BigInt(BAD + 8) });
  assertEquals(found(cpu, memory), ["operand", BigInt(BAD + 8), "read"]);
});

Deno.test("a read-only page stops stores and read-modify-writes, not loads", () => {
  const cpu = protectedMode({ rbx: BigInt(BAD) });
  for (
    const [listing, access] of [
      ["8b 03", undefined], // mov eax, [ebx]
      ["89 03", "write"], // mov [ebx], eax
      ["ff 03", "write"], // inc dword [ebx]
    ] as const
  ) {
    const memory = memoryWith(listing).break(BAD, "readonly");
    assertEquals(found(cpu, memory)?.[2], access, listing);
  }
});

Deno.test("an operand across two pages faults where the bad one begins", () => {
  const cpu = protectedMode({ rbx: BigInt(BAD + 0xffe) });
  const memory = memoryWith("8b 03").break(BAD + 0x1000);
  assertEquals(found(cpu, memory), ["operand", BigInt(BAD + 0x1000), "read"]);
  assertEquals(found(cpu, memoryWith("8b 03").break(BAD)), [
    "operand",
    BigInt(BAD + 0xffe),
    "read",
  ]);
});

Deno.test("both sides of MOVS: the read comes first", () => {
  const cpu = protectedMode({ rsi: BigInt(BAD + 4), rdi: BigInt(BAD + 0x2008) });
  const write = memoryWith("a5").break(BAD + 0x2000);
  assertEquals(found(cpu, write), ["operand", BigInt(BAD + 0x2008), "write"]);
  assertEquals(found(cpu, write.break(BAD)), ["operand", BigInt(BAD + 4), "read"]);
});

Deno.test("real mode: segments count, and offsets wrap at 64 KiB", () => {
  const cpu = real({ rbx: 0xffffn, rsi: 9n });
  const memory = memoryWith("8a 00", REAL_CODE).break(0); // mov al, [bx+si]
  assertEquals(found(cpu, memory), ["operand", 8n, "read"]);
  const es = { ...cpu.sregs.es, base: 0x3_0000n };
  const other = memoryWith("26 8a 00", REAL_CODE).break(0x3_0000); // mov al, [es:bx+si]
  assertEquals(found({ ...cpu, sregs: { ...cpu.sregs, es } }, other)?.[1], 0x3_0008n);
});

for (const [level, gpa] of [["PML4", PML4], ["PDPT", PDPT], ["PD", PD], ["PT", PT]] as const) {
  Deno.test(`a bad ${level} page is the fault of the access that it translates`, () => {
    // A second set of tables for the upper half, of which one page is bad.
    const memory = mapLong(memoryWith("8b 04 25 00 80 00 00")); // mov eax, [0x8000]
    const cpu = long(BigInt(PML4));
    memory.break(gpa);
    // The code is translated by the same tables: the fetch meets the bad page first.
    const index = level === "PT" ? CODE >> 12 : 0;
    const [kind, at, access] = found(cpu, memory)!;
    assertEquals([kind, at, access], ["table", BigInt(gpa + 8 * index), "read"]);
    assert(sources(cpu, memory)[0]!.startsWith(`page table entry (${level}) of the instruction`));
  });
}

Deno.test("a table that only the operand needs is the operand's fault", () => {
  const memory = mapLong(memoryWith("8b 03")); // mov eax, [rbx]
  memory.putInteger(PML4 + 8, BigInt(BAD) | ENTRY, 8);
  memory.break(BAD);
  const cpu = long(BigInt(PML4), { rbx: 0x80_4000_0000n });
  assertEquals(found(cpu, memory), ["table", BigInt(BAD + 8), "read"]);
});

Deno.test("32-bit paging: 4-byte entries, at both levels", () => {
  const [directory, table] = [0x5000, 0x6000];
  const cpu = protectedMode({ rbx: 0x40_3004n }, {
    cr0: CR0.PE | CR0.PG,
    cr3: BigInt(directory),
    cr4: CR4.PSE,
  });
  const memory = memoryWith("8b 03");
  memory.putInteger(directory, LARGE, 4);
  memory.putInteger(directory + 4, BigInt(table) | ENTRY, 4);
  memory.putInteger(table + 12, BigInt(BAD) | ENTRY, 4);
  assertEquals(found(cpu, memory), undefined);
  assertEquals(found(cpu, memory.break(BAD)), ["operand", BigInt(BAD + 4), "read"]);
  assertEquals(found(cpu, memory.break(table)), ["table", BigInt(table + 12), "read"]);
  assertEquals(found(cpu, memory.break(directory)), ["table", BigInt(directory), "read"]);
});

Deno.test("PAE paging: 8-byte entries, and a page table pointer without an accessed bit", () => {
  const [pointers, directory, table] = [0x5020, 0x6000, 0x7000];
  const cpu = protectedMode({ rbx: 0x20_3004n }, {
    cr0: CR0.PE | CR0.PG,
    cr3: BigInt(pointers),
    cr4: CR4.PAE,
    efer: EFER.NXE,
  });
  const memory = memoryWith("8b 03");
  memory.putInteger(pointers, BigInt(directory) | 1n, 8);
  memory.putInteger(directory, LARGE, 8);
  memory.putInteger(directory + 8, BigInt(table) | ENTRY, 8);
  memory.putInteger(table + 24, BigInt(BAD) | ENTRY, 8);
  memory.break(pointers, "readonly");
  assertEquals(locate(cpu, memory, decoder).found?.speculative, "walk");
  assertEquals(found(cpu, memory.break(BAD)), ["operand", BigInt(BAD + 4), "read"]);
  assertEquals(found(cpu, memory.break(table)), ["table", BigInt(table + 24), "read"]);
  assertEquals(found(cpu, memory.break(pointers)), ["table", BigInt(pointers), "read"]);
});

Deno.test("an address that is not canonical reads no table", () => {
  const memory = mapLong(memoryWith("8b 03"));
  const cpu = long(BigInt(PML4), { rbx: 1n << 63n });
  assertEquals(found(cpu, memory), undefined);
  const operand = locate(cpu, memory, decoder).candidates.find((c) => c.kind === "operand");
  assertEquals(operand?.state, "not mapped by the guest: non-canonical");
});

Deno.test("an address above all RAM, or above 2^53, is MMIO and no fault", () => {
  const memory = mapLong(memoryWith("8b 03"));
  for (const gpa of [0x1_0000_0000n, 0xf_ffff_ffff_f000n]) {
    memory.putInteger(PT + 8 * 8, gpa | ENTRY, 8);
    const cpu = long(BigInt(PML4), { rbx: 0x8000n });
    assertEquals(found(cpu, memory), undefined);
    const operand = locate(cpu, memory, decoder).candidates.find((c) => c.kind === "operand");
    assertEquals([operand?.gpa, operand?.state], [gpa, "no memory slot (MMIO)"]);
  }
});

Deno.test("page tables outside RAM are no memory fault", () => {
  const memory = memoryWith("8b 03");
  assertEquals(found(long(0xf_ffff_0000_0000n), memory), undefined);
});

Deno.test("R5: a store to a read-only slot is MMIO, a load of its bad page is a fault", () => {
  const memory = new FakeMemory([
    { gpa: 0, sizeBytes: BAD, kind: "ram" },
    { gpa: BAD, sizeBytes: 0x1000, kind: "rom" },
  ]);
  const cpu = protectedMode({ rbx: BigInt(BAD) });
  memory.put(CODE, code("89 03"));
  assertEquals(found(cpu, memory.break(BAD, "readonly")), undefined);
  memory.put(CODE, code("8b 03"));
  assertEquals(found(cpu, memory.break(BAD)), ["operand", BigInt(BAD), "read"]);
});

for (
  const [mode, state, entry] of [
    ["real", real, 4],
    ["protected", protectedMode, 8],
  ] as const
) {
  Deno.test(`the IDT entry of an exception in ${mode} mode is a read of ${entry} bytes`, () => {
    const at = mode === "real" ? REAL_CODE : CODE;
    const memory = memoryWith("90", at).break(BAD);
    const cpu = state({}, { idt: { base: BigInt(BAD), limit: 0x7ff, padding: [] } });
    const events = {
      exception: { injected: 1, pending: 0, nr: 14 },
      interrupt: { injected: 0, nr: 0 },
    };
    assertEquals(found({ ...cpu, events }, memory), [
      "descriptor",
      BigInt(BAD + 14 * entry),
      "read",
    ]);
  });
}

Deno.test("an interrupt that is being delivered reads its own IDT entry", () => {
  const memory = mapLong(memoryWith("90")).break(BAD);
  const cpu = long(BigInt(PML4), {}, { idt: { base: BigInt(BAD), limit: 0xfff, padding: [] } });
  const events = {
    exception: { injected: 0, pending: 0, nr: 0 },
    interrupt: { injected: 1, nr: 0x40 },
  };
  assertEquals(found({ ...cpu, events }, memory), ["descriptor", BigInt(BAD + 0x400), "read"]);
});

Deno.test("a segment load reads its descriptor, from the GDT or the LDT", () => {
  const memory = memoryWith("8e d8").break(BAD); // mov ds, ax
  const ldt = { ...protectedMode().sregs.ldt, base: BigInt(BAD), limit: 0xff };
  const gdt = { base: BigInt(BAD), limit: 0xff, padding: [] };
  const fromGdt = protectedMode({ rax: 0x10n }, { gdt });
  assertEquals(found(fromGdt, memory), ["descriptor", BigInt(BAD + 0x10), "read"]);
  const fromLdt = protectedMode({ rax: 0x1cn }, { ldt });
  assertEquals(found(fromLdt, memory), ["descriptor", BigInt(BAD + 0x18), "read"]);
});
