/**
 * What the processor accesses on its own: descriptors, interrupt delivery, accessed and dirty
 * bits, and what it does not access at all. Memory and vCPU states are synthetic.
 */

import { assertEquals } from "@std/assert";
import { type CpuState, locate, type PendingEvents } from "../../src/faults/locate.ts";
import { CR0, RFLAGS } from "../../src/x86/control_registers.ts";
import { decoder } from "../../src/x86/instruction.ts";
import type { SystemRegisters } from "../../src/x86/registers.ts";
import { CODE, long, protectedMode, real, REAL_CODE } from "../lib/fake_cpu.ts";
import { ENTRY, FakeMemory, mapLong, TABLES } from "../lib/fake_memory.ts";
import { code } from "../lib/guest.ts";

const BAD = 0x30_0000;
const [GDT, LDT, IDT, TSS] = [0x5000, 0x6000, 0x7000, 0x8000];
const CR3 = BigInt(TABLES.PML4);

/** A code or data descriptor that covers 4 GiB: its access byte counts. */
function flat(access: number): bigint {
  return 0x00cf_0000_0000_ffffn | BigInt(access) << 40n;
}
const CODE_ACCESSED = flat(0x9b);
const DATA_ACCESSED = flat(0x93);
const USER_CODE = flat(0xfb);

/** Memory with instructions, and page tables for long mode. */
function memoryWith(listing: string, at = CODE): FakeMemory {
  const memory = mapLong(new FakeMemory());
  memory.put(at, code(listing));
  return memory;
}

type Place = [source: string, gpa: number, access: string];

/** The first bad access that every processor makes. */
function found(cpu: CpuState, memory: FakeMemory): Place | undefined {
  const bad = locate(cpu, memory, decoder()).candidates.find(({ bad, speculative }) =>
    bad && speculative !== "walk" && speculative !== "length"
  );
  return bad && [bad.source, Number(bad.gpa), bad.access];
}

/** Every access that was examined, from the given one on. */
function examined(cpu: CpuState, memory: FakeMemory, from = 1): Place[] {
  return locate(cpu, memory, decoder()).candidates.slice(from)
    .filter((candidate) => !candidate.speculative)
    .map(({ source, gpa, access }): Place => [source, Number(gpa), access]);
}

const table = (base: number, limit: number) => ({ base: BigInt(base), limit, padding: [] });
const gdt = (limit = 0xff): Partial<SystemRegisters> => ({ gdt: table(GDT, limit) });

function queued(vector: number): PendingEvents {
  return { exception: { injected: 1, pending: 0, nr: vector }, interrupt: { injected: 0, nr: 0 } };
}

/** An interrupt gate of protected or long mode. */
function gate(selector: number, handler: number, privilege = 0, interruptStack = 0): bigint {
  const [low, high] = [BigInt(handler & 0xffff), BigInt(handler >>> 16)];
  const flags = 0x8en | BigInt(privilege) << 5n;
  return low | BigInt(selector) << 16n | BigInt(interruptStack) << 32n | flags << 40n | high << 48n;
}

Deno.test("a segment load reads a descriptor, and marks it accessed if it is not", () => {
  const memory = memoryWith("8e d8"); // mov ds, ax
  const cpu = protectedMode({ rax: 0x10n }, gdt());
  memory.putInteger(GDT + 0x10, DATA_ACCESSED, 8);
  assertEquals(examined(cpu, memory), [["GDT descriptor", GDT + 0x10, "read"]]);
  memory.putInteger(GDT + 0x10, flat(0x92), 8);
  assertEquals(examined(cpu, memory), [
    ["GDT descriptor", GDT + 0x10, "read"],
    ["GDT descriptor", GDT + 0x15, "write"],
  ]);
  memory.break(GDT, "readonly");
  assertEquals(found(cpu, memory), ["GDT descriptor", GDT + 0x15, "write"]);
});

Deno.test("a null selector, one beyond the limit, and one in no LDT read nothing", () => {
  const memory = memoryWith("8e d8").break(GDT).break(LDT);
  for (const [rax, limit] of [[3n, 0xff], [0x10n, 0x16], [0x14n, 0xff]] as const) {
    const sregs = protectedMode().sregs;
    const ldt = { ...sregs.ldt, base: BigInt(LDT), unusable: 1 };
    assertEquals(found(protectedMode({ rax }, { ...gdt(limit), ldt }), memory), undefined);
  }
  assertEquals(found(protectedMode({ rax: 0x10n }, gdt(0x17)), memory), [
    "GDT descriptor",
    GDT + 0x10,
    "read",
  ]);
});

Deno.test("real mode loads segments without descriptors", () => {
  const memory = memoryWith("8e d8", REAL_CODE).break(GDT);
  assertEquals(found(real({ rax: 0x10n }, gdt()), memory), undefined);
});

for (
  const [name, listing, make] of [
    ["mov ds, [ebx]", "8e 1b", protectedMode],
    ["lds eax, [ebx]", "c5 03", protectedMode],
    ["jmp far [ebx]", "ff 2b", protectedMode],
    ["lar eax, [ebx]", "0f 02 03", protectedMode],
    ["ltr [ebx]", "0f 00 1b", protectedMode],
  ] as const
) {
  Deno.test(`${name} takes its selector from memory, then reads the descriptor`, () => {
    const memory = memoryWith(listing).break(BAD);
    const selectorAt = /lds|far/.test(name) ? 0x9004 : 0x9000;
    memory.putInteger(selectorAt, 0x10n, 2);
    const cpu = make({ rbx: 0x9000n }, { gdt: table(BAD, 0xff) });
    assertEquals(found(cpu, memory), ["GDT descriptor", BAD + 0x10, "read"]);
    assertEquals(found(cpu, memory.break(0x9000))?.slice(1), [0x9000, "read"]);
  });
}

Deno.test("LTR reads 16 bytes in long mode, and makes the TSS busy", () => {
  const memory = memoryWith("0f 00 d8"); // ltr ax
  memory.putInteger(GDT + 0x20, 0x0000_8900_0000_0067n, 8);
  const cpu = long(CR3, { rax: 0x20n }, gdt());
  assertEquals(examined(cpu, memory), [
    ["GDT descriptor", GDT + 0x20, "read"],
    ["GDT descriptor", GDT + 0x28, "read"],
    ["GDT descriptor", GDT + 0x25, "write"],
  ]);
  const short = long(CR3, { rax: 0x20n }, gdt(0x27));
  assertEquals(examined(short, memory), [["GDT descriptor", GDT + 0x20, "read"]]);
});

Deno.test("a far call goes through a call gate, and pushes at last", () => {
  const memory = memoryWith("9a 00 00 00 00 10 00"); // call 0x10:0
  memory.putInteger(GDT + 8, CODE_ACCESSED, 8);
  memory.putInteger(GDT + 0x10, 0x0000_8c00_0008_0000n, 8);
  const cpu = protectedMode({ rsp: 0xa000n }, gdt());
  assertEquals(examined(cpu, memory), [
    ["GDT descriptor", GDT + 0x10, "read"],
    ["GDT descriptor", GDT + 8, "read"],
    ["operand", 0x9ffc, "write"],
    ["operand", 0x9ff8, "write"],
  ]);
});

Deno.test("IRET to an outer level pops the stack pointer, too", () => {
  const memory = memoryWith("cf");
  memory.putInteger(0xa004, 0x1bn, 4);
  memory.putInteger(0xa010, 0x23n, 4);
  memory.putInteger(GDT + 0x18, USER_CODE, 8);
  memory.putInteger(GDT + 0x20, flat(0xf3), 8);
  const cpu = protectedMode({ rsp: 0xa000n }, gdt());
  assertEquals(examined(cpu, memory), [
    ["operand", 0xa000, "read"],
    ["operand", 0xa004, "read"],
    ["operand", 0xa008, "read"],
    ["GDT descriptor", GDT + 0x18, "read"],
    ["operand", 0xa00c, "read"],
    ["operand", 0xa010, "read"],
    ["GDT descriptor", GDT + 0x20, "read"],
  ]);
});

Deno.test("INT in real mode pushes its frame, then reads the vector", () => {
  const memory = memoryWith("cd 20", REAL_CODE);
  const cpu = real({ rsp: 0x9000n });
  assertEquals(examined(cpu, memory), [
    ["interrupt frame", 0x8ffe, "write"],
    ["interrupt frame", 0x8ffc, "write"],
    ["interrupt frame", 0x8ffa, "write"],
    ["IDT entry", 0x80, "read"],
  ]);
});

Deno.test("INT beyond the IDT's limit is #GP, and that beyond it #DF", () => {
  const memory = memoryWith("cd 20", REAL_CODE);
  const entryOf = (limit: number) => examined(real({}, { idt: table(0, limit) }), memory).at(-1);
  assertEquals(entryOf(0x82), ["IDT entry", 13 * 4, "read"]);
  assertEquals(entryOf(13 * 4), ["IDT entry", 8 * 4, "read"]);
  assertEquals(entryOf(8 * 4), undefined);
});

Deno.test("an exception beyond the IDT's limit does not read another one's entry", () => {
  const [ud2, wrmsr] = ["0f 0b", "0f 30"];
  // The entry of #BR is bad, then that of #NM: neither instruction raises those.
  for (const [listing, limit, bad] of [[ud2, 0x5f, 0x50], [wrmsr, 0x7f, 0x70]] as const) {
    const memory = memoryWith(listing);
    memory.break(IDT);
    const cpu = long(CR3, {}, { idt: table(IDT - bad, limit) });
    assertEquals(found(cpu, memory), undefined, listing);
  }
});

Deno.test("a descriptor that the processor refuses is not written", () => {
  const [CODE_32, NOT_PRESENT, EXECUTE_ONLY, READ_ONLY] = [0x9a, 0x12, 0x98, 0x90];
  const refused = [
    ["8e c0", NOT_PRESENT], // mov es, ax
    ["8e c0", EXECUTE_ONLY],
    ["8e d0", READ_ONLY], // mov ss, ax
    ["8e d0", CODE_32],
    ["ea 00 00 10 00 10 00", 0x92], // jmp 0x10:0x100000
    ["0f 00 d8", 0x8b], // ltr ax: busy
    ["0f 00 d8", 0x09],
  ] as const;
  for (const [listing, rights] of refused) {
    const memory = memoryWith(listing);
    memory.putInteger(GDT + 0x10, flat(rights), 8);
    const cpu = protectedMode({ rax: 0x10n }, gdt());
    assertEquals(examined(cpu, memory), [["GDT descriptor", GDT + 0x10, "read"]], listing);
  }
});

Deno.test("INT in protected mode reads the gate, the handler's segment, and pushes", () => {
  const memory = memoryWith("cd 20");
  const cpu = protectedMode({ rsp: 0xa000n }, { ...gdt(), idt: table(IDT, 0x7ff) });
  assertEquals(examined(cpu, memory), [["IDT entry", IDT + 0x100, "read"]], "not present");
  memory.putInteger(IDT + 0x100, gate(8, CODE), 8);
  memory.putInteger(GDT + 8, CODE_ACCESSED, 8);
  assertEquals(examined(cpu, memory), [
    ["IDT entry", IDT + 0x100, "read"],
    ["GDT descriptor", GDT + 8, "read"],
    ["interrupt frame", 0x9ffc, "write"],
    ["interrupt frame", 0x9ff8, "write"],
    ["interrupt frame", 0x9ff4, "write"],
  ]);
});

Deno.test("an exception at CPL 3 finds its stack in the TSS, if the TSS reaches that far", () => {
  const memory = memoryWith("90");
  memory.putInteger(IDT + 14 * 16, gate(8, CODE), 8);
  memory.putInteger(GDT + 8, CODE_ACCESSED, 8);
  memory.putInteger(TSS + 4, 0xa008n, 8);
  const { sregs } = long(CR3);
  const state = (limit: number): CpuState => {
    const tr = { ...sregs.tr, base: BigInt(TSS), limit };
    const more = { ...gdt(), idt: table(IDT, 0xfff), tr };
    return { ...long(CR3, {}, more, 3), events: queued(14) };
  };
  assertEquals(examined(state(0x67), memory, 0).slice(0, 8), [
    ["IDT entry", IDT + 14 * 16, "read"],
    ["GDT descriptor", GDT + 8, "read"],
    ["TSS", TSS + 4, "read"],
    ["interrupt frame", 0x9ff8, "write"],
    ["interrupt frame", 0x9ff0, "write"],
    ["interrupt frame", 0x9fe8, "write"],
    ["interrupt frame", 0x9fe0, "write"],
    ["interrupt frame", 0x9fd8, "write"],
  ]);
  memory.break(TSS);
  assertEquals(found(state(0x67), memory), ["TSS", TSS + 4, "read"]);
  assertEquals(found(state(0xa), memory), undefined);
});

Deno.test("a gate with an interrupt stack reads the TSS at CPL 0, too", () => {
  const memory = memoryWith("90").break(TSS);
  memory.putInteger(IDT + 8 * 16, gate(8, CODE, 0, 2), 8);
  memory.putInteger(GDT + 8, CODE_ACCESSED, 8);
  const tr = { ...long(CR3).sregs.tr, base: BigInt(TSS), limit: 0x67 };
  const cpu = { ...long(CR3, {}, { ...gdt(), idt: table(IDT, 0xfff), tr }), events: queued(8) };
  assertEquals(found(cpu, memory), ["TSS", TSS + 0x2c, "read"]);
});

Deno.test("what is queued is delivered before any instruction runs", () => {
  const memory = memoryWith("8a 03").break(BAD).break(IDT); // mov al, [rbx]
  const cpu = long(CR3, { rbx: BigInt(BAD) }, { idt: table(IDT, 0xfff) });
  assertEquals(found(cpu, memory), ["operand", BAD, "read"]);
  assertEquals(found({ ...cpu, events: queued(3) }, memory), ["IDT entry", IDT + 0x30, "read"]);
});

Deno.test("a non-maskable interrupt has vector 2", () => {
  const memory = memoryWith("90").break(IDT);
  const none = { injected: 0, pending: 0, nr: 0 };
  const events = { exception: none, interrupt: none, nmi: { injected: 1 } };
  const cpu = { ...long(CR3, {}, { idt: table(IDT, 0xfff) }), events };
  assertEquals(found(cpu, memory), ["IDT entry", IDT + 0x20, "read"]);
});

Deno.test("a port that IOPL does not permit is looked up in the TSS", () => {
  const memory = memoryWith("e6 f4"); // out 0xf4, al
  memory.putInteger(TSS + 0x66, 0x68n, 2);
  const { tr } = long(CR3).sregs;
  const state = (rflags: bigint, limit: number, cpl: 0 | 3 = 3) =>
    long(CR3, { rflags }, { tr: { ...tr, base: BigInt(TSS), limit } }, cpl);
  assertEquals(examined(state(0n, 0x2067), memory), [
    ["TSS", TSS + 0x66, "read"],
    ["TSS", TSS + 0x68 + 0x1e, "read"],
  ]);
  assertEquals(examined(state(0n, 0x67), memory), [["TSS", TSS + 0x66, "read"]]);
  assertEquals(examined(state(RFLAGS.IOPL, 0x2067), memory), []);
  assertEquals(examined(state(0n, 0x2067, 0), memory), []);
});

Deno.test("an IDT of limit 0 is not read, whatever page it is in", () => {
  for (const [listing, cpl] of [["0f 0b", 0], ["cd 20", 0], ["0f 0b", 3]] as const) {
    const memory = memoryWith(listing).break(0);
    const cpu = long(CR3, {}, { idt: table(0, 0) }, cpl);
    assertEquals(found(cpu, memory), undefined, listing);
    assertEquals(found({ ...cpu, events: queued(6) }, memory), undefined, listing);
  }
});

Deno.test("the IDT of a guest without an exception in sight is bad on suspicion only", () => {
  const memory = memoryWith("eb fe").break(IDT); // jmp $
  const cpu = protectedMode({}, { idt: table(IDT, 0x7ff) });
  const bad = locate(cpu, memory, decoder()).found;
  assertEquals([bad?.source, bad?.speculative], ["IDT entry", "exception"]);
});

Deno.test("an undefined opcode is #UD: its IDT entry, and no more bytes, are read", () => {
  for (const bytes of ["0f 0a", "0f ff", "0f b9"]) {
    const at = CODE + 0xffe;
    const memory = memoryWith(bytes, at).break(CODE + 0x1000);
    const cpu = long(CR3, { rip: BigInt(at) }, { idt: table(IDT, 0xfff) });
    assertEquals(found(cpu, memory), undefined, bytes);
    assertEquals(examined(cpu, memory), [["IDT entry", IDT + 6 * 16, "read"]], bytes);
    // But some processors take a ModRM byte, too.
    const { found: bad } = locate(cpu, memory, decoder());
    assertEquals([bad?.speculative, Number(bad?.gpa), bad?.access], [
      "length",
      CODE + 0x1000,
      "fetch",
    ]);
  }
});

Deno.test("code ends at the limit of CS: past it there is #GP and no fetch", () => {
  // 16-bit code whose last byte is at the end of a page and of its segment.
  const memory = memoryWith("b8", 0x1_ffff).break(0x2_0000);
  const cs = { ...real().sregs.cs, base: 0x1_0000n };
  const idt = { idt: table(IDT, 0x3ff) };
  const cpu = real({ rip: 0xffffn, rsp: 0x9000n }, { cs, ...idt });
  assertEquals(found(cpu, memory), undefined);
  assertEquals(examined(cpu, memory).at(-1), ["IDT entry", IDT + 4 * 13, "read"]);
  assertEquals(found(real({ rip: 0x1_0000n }, { cs, ...idt }), memory), undefined);
});

Deno.test("too few bytes are no undefined opcode: the next page is fetched", () => {
  for (const bytes of ["0f 38", "48 8b", "66 0f", "f3 0f", "c4 e2"]) {
    const at = CODE + 0xffe;
    const memory = memoryWith(bytes, at).break(CODE + 0x1000);
    const cpu = long(CR3, { rip: BigInt(at) });
    assertEquals(found(cpu, memory), ["instruction fetch", CODE + 0x1000, "fetch"], bytes);
  }
});

Deno.test("an access that the guest's tables refuse is a page fault, and the last access", () => {
  const memory = memoryWith("48 a5").break(BAD); // movsq
  const readOnly = 0x9000;
  memory.putInteger(TABLES.PT + 8 * 9, BigInt(readOnly) | (ENTRY & ~2n), 8);
  memory.putInteger(TABLES.PT + 8 * 10, 0n, 8);
  const idt = { idt: table(IDT, 0xfff) };
  const state = (rsi: number, rdi: number, cpl: 0 | 3 = 0, more: Partial<SystemRegisters> = {}) =>
    long(CR3, { rsi: BigInt(rsi), rdi: BigInt(rdi) }, { ...idt, ...more }, cpl);
  // The source is not present: the destination is not stored to.
  assertEquals(found(state(0xa000, BAD), memory), undefined);
  assertEquals(examined(state(0xa000, BAD), memory).at(-1), ["IDT entry", IDT + 14 * 16, "read"]);
  // The destination is read-only.
  memory.break(readOnly, "readonly");
  assertEquals(found(state(0xb000, readOnly), memory), undefined);
  const withoutWp = { cr0: CR0.PE | CR0.PG };
  assertEquals(found(state(0xb000, readOnly, 0, withoutWp), memory)?.slice(1), [readOnly, "write"]);
  assertEquals(found(state(0xb000, readOnly, 3, withoutWp), memory), undefined);
  // CPL 3 may not read a supervisor page.
  memory.putInteger(TABLES.PT + 8 * 12, 0x9000n | (ENTRY & ~4n), 8);
  memory.break(0x9000);
  assertEquals(found(state(0xc000, 0xb000), memory)?.slice(1), [0x9000, "read"]);
  assertEquals(found(state(0xc000, 0xb000, 3), memory), undefined);
});

for (
  const [flags, listing, expected] of [
    [0x67n, "88 03", undefined], // mov [rbx], al, with A and D set
    [0x27n, "88 03", "write"], // D clear
    [0x27n, "8a 03", undefined], // a load needs no D
    [0x47n, "8a 03", "write"], // A clear
    [0x27n, "ff 03", "write"], // inc dword [rbx]
  ] as const
) {
  Deno.test(`"${listing}" through an entry ${flags.toString(16)} in a page that is read-only`, () => {
    const memory = memoryWith(listing);
    // Another table, so that the code's own is good.
    memory.putInteger(TABLES.PD + 8, BigInt(BAD) | ENTRY, 8);
    memory.putInteger(BAD + 8 * 9, 0x9000n | flags, 8);
    memory.break(BAD, "readonly");
    const place = found(long(CR3, { rbx: 0x20_9000n }), memory);
    assertEquals(place?.slice(1), expected && [BAD + 8 * 9, expected]);
  });
}

Deno.test("an upper entry's accessed bit counts, its dirty bit does not", () => {
  const memory = memoryWith("88 03");
  memory.putInteger(TABLES.PDPT + 8, BigInt(BAD) | ENTRY, 8);
  memory.putInteger(BAD, 0x9000n | 0x27n, 8);
  memory.putInteger(0x9000, 0xb000n | ENTRY, 8);
  memory.break(BAD, "readonly");
  const cpu = long(CR3, { rbx: 1n << 30n });
  assertEquals(found(cpu, memory), undefined);
  memory.putInteger(BAD, 0x9000n | 0x47n, 8);
  assertEquals(found(cpu, memory)?.slice(1), [BAD, "write"]);
});

Deno.test("a string instruction whose count is 0 accesses nothing", () => {
  const memory = memoryWith("f3 a4").break(BAD);
  const regs = { rsi: BigInt(BAD), rdi: BigInt(BAD) };
  assertEquals(found(long(CR3, regs), memory), undefined);
  assertEquals(found(long(CR3, { ...regs, rcx: 1n }), memory), ["operand", BAD, "read"]);
});

Deno.test("INTO is an interrupt on overflow only", () => {
  const memory = memoryWith("ce");
  const state = (rflags: bigint) => protectedMode({ rflags }, { idt: table(IDT, 0x7ff) });
  assertEquals(examined(state(RFLAGS.OF), memory), [["IDT entry", IDT + 32, "read"]]);
  assertEquals(examined(state(0n), memory), []);
});

Deno.test("where page walks write, a table that cannot be written is the last suspect", () => {
  const memory = memoryWith("88 03").break(TABLES.PD, "readonly");
  const cpu = long(CR3, { rbx: BigInt(BAD) });
  const bad = locate(cpu, memory, decoder()).found;
  assertEquals([bad?.kind, Number(bad?.gpa), bad?.access, bad?.speculative], [
    "table",
    TABLES.PD,
    "write",
    "walk",
  ]);
  assertEquals(locate(cpu, memory.break(BAD), decoder()).found?.kind, "operand");
});
