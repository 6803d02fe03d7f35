/**
 * What instructions access, in which order and where: synthetic register states.
 */

import { assertEquals } from "@std/assert";
import { type MemoryAccess, operandAccesses, type RegisterState } from "../../src/x86/accesses.ts";
import { CR4, RFLAGS } from "../../src/x86/control_registers.ts";
import type { ExtendedState } from "../../src/x86/extended_state.ts";
import { type Bitness, decoder } from "../../src/x86/instruction.ts";
import type { Registers, SystemRegisters } from "../../src/x86/registers.ts";
import { long, protectedMode, real } from "../lib/fake_cpu.ts";
import { code } from "../lib/guest.ts";

const MODES: Readonly<Record<Bitness, (regs: Partial<Registers>) => RegisterState>> = {
  16: (regs) => real({ rip: 0x10_0000n, ...regs }),
  32: protectedMode,
  64: (regs) => {
    const state = long(0x1000n, regs);
    const { fs, gs } = state.sregs;
    const based = { fs: { ...fs, base: 0x7000n }, gs: { ...gs, base: 0x8000n } };
    return { ...state, sregs: { ...state.sregs, ...based } };
  },
};

function accesses(listing: string, bitness: Bitness, state: RegisterState): MemoryAccess[] {
  const instruction = decoder().decode(code(listing), bitness, state.regs);
  return operandAccesses(instruction!, state, () => undefined);
}

/** `r 300000 8`: a read of 8 bytes. */
function text({ access, gva, sizeBytes, refused }: MemoryAccess): string {
  return `${access[0]} ${gva.toString(16)} ${sizeBytes}` + (refused ? ` ${refused}` : "");
}

const ROWS: readonly [Bitness, string, string, Partial<Registers>, string[]][] = [
  [64, "xlatb", "d7", { rbx: 0x30_0000n, rax: 0x1234_56f5n }, ["r 3000f5 1"]],
  [64, "bt [rbx],rax", "48 0f a3 03", { rbx: 0x30_0000n, rax: -64n }, ["r 2ffff8 8"]],
  [64, "bts [rbx],eax", "0f ab 03", { rbx: 0x30_0000n, rax: 0xffff_ffffn }, ["w 2ffffc 4"]],
  [64, "btr [rbx],ax", "66 0f b3 03", { rbx: 0x30_0000n, rax: 0x7fffn }, ["w 300ffe 2"]],
  [64, "btc qword [rbx],5", "48 0f ba 3b 05", { rbx: 0x30_0000n }, ["w 300000 8"]],
  [16, "bts [bx],ax", "0f ab 07", { rbx: 0n, rax: 0xffffn }, ["w fffe 2"]],
  [64, "movsb", "a4", { rsi: 0x30_0000n, rdi: 0x30_2000n }, ["r 300000 1", "w 302000 1"]],
  [64, "rep movsq", "f3 48 a5", { rsi: 0x30_0000n, rdi: 0x30_2000n, rcx: 1n }, [
    "r 300000 8",
    "w 302000 8",
  ]],
  [64, "rep movsb", "f3 a4", { rsi: 0x30_0000n, rdi: 0x30_2000n }, []],
  [64, "a32 rep stosd", "f3 67 ab", { rdi: 0x1_0030_2000n, rcx: 0x1_0000_0000n }, []],
  [64, "a32 rep stosd", "f3 67 ab", { rdi: 0x1_0030_2000n, rcx: 0x1_0000_0001n }, ["w 302000 4"]],
  [64, "cmpsb", "a6", { rsi: 0x30_0000n, rdi: 0x30_2000n }, ["r 300000 1", "r 302000 1"]],
  [64, "repne scasw", "f2 66 af", { rdi: 0x30_2000n, rcx: 3n }, ["r 302000 2"]],
  [64, "lodsq", "48 ad", { rsi: 0x30_2000n }, ["r 302000 8"]],
  [64, "rep insb", "f3 6c", { rdi: 0x30_2000n, rcx: 3n }, ["w 302000 1"]],
  [64, "rep outsd", "f3 6f", { rsi: 0x30_2000n, rcx: 3n }, ["r 302000 4"]],
  [16, "es movsb", "26 a4", { rsi: 1n, rdi: 2n }, ["r 1 1", "w 2 1"]],
  [64, "push qword [rbx]", "ff 33", { rbx: 0x30_0000n, rsp: 0x31_0000n }, [
    "r 300000 8",
    "w 30fff8 8",
  ]],
  [64, "pop qword [rbx]", "8f 03", { rbx: 0x30_0000n, rsp: 0x31_0000n }, [
    "r 310000 8",
    "w 300000 8",
  ]],
  [64, "pop qword [rsp+8]", "8f 44 24 08", { rsp: 0x31_0000n }, ["r 310000 8", "w 310010 8"]],
  [64, "push qword [rsp+8]", "ff 74 24 08", { rsp: 0x31_0000n }, ["r 310008 8", "w 30fff8 8"]],
  [64, "call [rbx]", "ff 13", { rbx: 0x30_0000n, rsp: 0x31_0000n }, ["r 300000 8", "w 30fff8 8"]],
  [64, "call $+5", "e8 00 00 00 00", { rsp: 0x31_0000n }, ["w 30fff8 8"]],
  [64, "ret 8", "c2 08 00", { rsp: 0x31_0000n }, ["r 310000 8"]],
  [64, "o64 retf", "48 cb", { rsp: 0x31_0000n }, ["r 310000 8", "r 310008 8"]],
  [64, "iretq", "48 cf", { rsp: 0x31_0000n }, [
    "r 310000 8",
    "r 310008 8",
    "r 310010 8",
    "r 310018 8",
    "r 310020 8",
  ]],
  [64, "o64 call far [rbx]", "48 ff 1b", { rbx: 0x30_0000n, rsp: 0x31_0000n }, [
    "r 300000 10",
    "w 30fff8 8",
    "w 30fff0 8",
  ]],
  [64, "enter 16,0", "c8 10 00 00", { rsp: 0x31_0000n }, ["w 30fff8 8", "w 30ffe8 1"]],
  [64, "enter 16,2", "c8 10 00 02", { rsp: 0x31_0000n, rbp: 0x30_0000n }, [
    "w 30fff8 8",
    "r 2ffff8 8",
    "w 30fff0 8",
    "w 30ffe8 8",
    "w 30ffd8 1",
  ]],
  [64, "leave", "c9", { rbp: 0x30_0000n, rsp: 0x31_0000n }, ["r 300000 8"]],
  [64, "pushfq", "9c", { rsp: 0x31_0000n }, ["w 30fff8 8"]],
  [32, "pusha", "60", { rsp: 0x31_0000n }, [
    "w 30fffc 4",
    "w 30fff8 4",
    "w 30fff4 4",
    "w 30fff0 4",
    "w 30ffec 4",
    "w 30ffe8 4",
    "w 30ffe4 4",
    "w 30ffe0 4",
  ]],
  [16, "push ax", "50", { rsp: 0n }, ["w fffe 2"]],
  [16, "pop ax", "58", { rsp: 0xabcd_0010n }, ["r 10 2"]],
  [32, "push eax", "50", { rsp: 0xabcd_0000n }, ["w abccfffc 4"]],
  [64, "lock cmpxchg16b [rbx]", "f0 48 0f c7 0b", { rbx: 0x30_0000n }, ["w 300000 16"]],
  [64, "cmpxchg [rbx],ecx", "0f b1 0b", { rbx: 0x30_0000n }, ["w 300000 4"]],
  [64, "xadd [rbx],rcx", "48 0f c1 0b", { rbx: 0x30_0000n }, ["w 300000 8"]],
  [64, "xchg [rbx],cl", "86 0b", { rbx: 0x30_0000n }, ["w 300000 1"]],
  [64, "cmovnz eax,[rbx]", "0f 45 03", { rbx: 0x30_0000n }, ["r 300000 4"]],
  [64, "lea rax,[rbx]", "48 8d 03", { rbx: 0x30_0000n }, []],
  [64, "nop dword [rbx]", "0f 1f 03", { rbx: 0x30_0000n }, []],
  [64, "prefetcht0 [rbx]", "0f 18 0b", { rbx: 0x30_0000n }, []],
  [64, "invlpg [rbx]", "0f 01 3b", { rbx: 0x30_0000n }, []],
  [64, "clflush [rbx+5]", "0f ae 7b 05", { rbx: 0x30_0000n }, ["r 300005 1"]],
  [64, "clzero", "0f 01 fc", { rax: 0x30_0033n }, ["w 300000 64"]],
  [64, "monitor", "0f 01 c8", { rax: 0x30_0033n }, ["r 300033 1"]],
  [64, "movdir64b rax,[rbx]", "66 0f 38 f8 03", { rax: 0x30_2000n, rbx: 0x30_0000n }, [
    "r 300000 64",
    "w 302000 64",
  ]],
  [64, "fxsave [rbx]", "0f ae 03", { rbx: 0x30_0000n }, ["w 300000 512"]],
  [64, "fnsave [rbx]", "dd 33", { rbx: 0x30_0000n }, ["w 300000 108"]],
  [16, "fnstenv [bx]", "d9 37", { rbx: 16n }, ["w 10 14"]],
  [64, "fld tword [rbx]", "db 2b", { rbx: 0x30_0000n }, ["r 300000 10"]],
  [64, "sgdt [rbx]", "0f 01 03", { rbx: 0x30_0000n }, ["w 300000 10"]],
  [32, "sidt [ebx]", "0f 01 0b", { rbx: 0x30_0000n }, ["w 300000 6"]],
  [64, "lidt [rbx]", "0f 01 1b", { rbx: 0x30_0000n }, ["r 300000 10"]],
  [64, "smsw [rbx]", "0f 01 23", { rbx: 0x30_0000n }, ["w 300000 2"]],
  [64, "lfs eax,[rbx]", "0f b4 03", { rbx: 0x30_0000n }, ["r 300000 6"]],
  [32, "bound eax,[ebx]", "62 03", { rbx: 0x30_0000n }, ["r 300000 8"]],
  [64, "a32 mov al,[ebx+8]", "67 8a 43 08", { rbx: 0x1_ffff_ffffn }, ["r 7 1"]],
  [16, "mov al,[bx+si]", "8a 00", { rbx: 0xffffn, rsi: 0x1_0009n }, ["r 8 1"]],
  [16, "mov al,[dword 0x345]", "67 a0 45 03 00 00", {}, ["r 345 1"]],
  [64, "mov al,[qword 0x1234567890]", "a0 90 78 56 34 12 00 00 00", {}, ["r 1234567890 1"]],
  [64, "mov al,[fs:rbx]", "64 8a 03", { rbx: 0x10n }, ["r 7010 1"]],
  [64, "gs lodsb", "65 ac", { rsi: 0x20n }, ["r 8020 1"]],
  [64, "mov al,[rel $+0x1007]", "8a 05 01 10 00 00", {}, ["r 101007 1"]],
];

for (const [bitness, name, listing, regs, expected] of ROWS) {
  const values = Object.entries(regs).map(([register, value]) =>
    `${register}=${value.toString(16)}`
  );
  Deno.test(`${name} in ${bitness}-bit code ${values.join(" ")}`, () => {
    assertEquals(accesses(listing, bitness, MODES[bitness](regs)).map(text), expected);
  });
}

Deno.test("SS decides the width of the stack pointer, not the code", () => {
  const sregs = (ss: Partial<SystemRegisters["ss"]>, state: RegisterState) => ({
    ...state,
    sregs: { ...state.sregs, ss: { ...state.sregs.ss, ...ss } },
  });
  const small = sregs({ db: 0 }, protectedMode({ rsp: 0x1_0000n }));
  assertEquals(accesses("50", 32, small).map(text), ["w fffc 4"]); // push eax
  const large = sregs({ db: 1, limit: 0xffff_ffff }, real({ rsp: 0x2_0000n }));
  assertEquals(accesses("50", 16, large).map(text), ["w 1fffe 2"]); // push ax
});

Deno.test("an access beyond the segment's limit is refused", () => {
  const state = real({ rbx: 0xffffn });
  assertEquals(accesses("8b 07", 16, state).map(text), ["r ffff 2 beyond the limit of DS"]);
  assertEquals(accesses("8a 07", 16, state).map(text), ["r ffff 1"]);
  const { sregs } = protectedMode();
  // A data segment that expands down: offsets above its limit are good.
  const ds = { ...sregs.ds, type: 7, limit: 0xfff };
  const down = (rbx: bigint) => protectedMode({ rbx }, { ds });
  assertEquals(accesses("8a 03", 32, down(0x1000n)).map(text), ["r 1000 1"]);
  assertEquals(accesses("8a 03", 32, down(0xfffn)).map(text), ["r fff 1 beyond the limit of DS"]);
});

Deno.test("with DF set, a string instruction accesses one element as well", () => {
  const state = long(0x1000n, { rsi: 0x10n, rdi: 0x1ffcn, rcx: 5n, rflags: RFLAGS.DF });
  assertEquals(accesses("f3 48 a5", 64, state).map(text), ["r 10 8", "w 1ffc 8"]);
});

/** Where the state components are on some processors of AMD and Intel. */
const COMPONENTS = new Map([
  [2, { offset: 576, sizeBytes: 256, aligned: false }],
  [5, { offset: 832, sizeBytes: 64, aligned: false }],
  [6, { offset: 896, sizeBytes: 512, aligned: false }],
  [7, { offset: 1408, sizeBytes: 1024, aligned: false }],
  [9, { offset: 2432, sizeBytes: 8, aligned: false }],
]);

/** Extended state with the bytes of some registers, by the component's offset. */
function extended(registers: Record<string, ArrayLike<number>> = {}, xcr0 = 0xe7n): ExtendedState {
  const area = new Uint8Array(4096);
  const put = (at: number, bytes: Uint8Array): void => area.set(bytes, at);
  for (const [name, values] of Object.entries(registers)) {
    const number = Number(/\d+$/.exec(name)![0]);
    const bytes = new Uint8Array(64);
    if (name.startsWith("dwords")) bytes.set(new Uint8Array(Int32Array.from(values).buffer));
    else bytes.set(Array.from(values));
    if (name.startsWith("k")) put(832 + 8 * number, bytes.subarray(0, 8));
    else if (number < 16) {
      put(160 + 16 * number, bytes.subarray(0, 16));
      put(576 + 16 * number, bytes.subarray(16, 32));
      put(896 + 32 * number, bytes.subarray(32, 64));
    } else put(1408 + 64 * (number - 16), bytes);
  }
  return { xcr0, area, components: COMPONENTS };
}

function withExtended(regs: Partial<Registers>, state: ExtendedState): RegisterState {
  const cr4 = CR4.PAE | CR4.OSXSAVE;
  return { ...long(0x1000n, { rbx: 0x1000n, ...regs }, { cr4 }), extended: state };
}

function vector(listing: string, state: ExtendedState, regs: Partial<Registers> = {}): string[] {
  return accesses(listing, 64, withExtended(regs, state)).map(text);
}

Deno.test("XSAVE writes the components that are asked for and enabled", () => {
  const all = { rax: 0xffff_ffffn, rdx: 0xffff_ffffn };
  assertEquals(vector("0f ae 23", extended(), all), ["w 1000 2432"]);
  assertEquals(vector("0f ae 23", extended({}, 7n), all), ["w 1000 832"]);
  assertEquals(vector("0f ae 23", extended(), { rax: 3n }), ["w 1000 576"]);
  assertEquals(vector("0f ae 33", extended(), { rax: 7n }), ["w 1000 832"], "xsaveopt");
  assertEquals(vector("0f c7 23", extended(), { rax: 0x20n }), ["w 1000 640"], "xsavec");
});

Deno.test("XRSTOR reads as much, or less of an area that is compacted", () => {
  const state = withExtended({ rax: 0x80n }, extended());
  const instruction = decoder().decode(code("0f ae 2b"), 64, state.regs)!;
  const sizes = [0n, 1n << 63n].map((xcompBv) =>
    operandAccesses(instruction, state, (gva) => gva === 0x1208n ? xcompBv : undefined).map(text)
  );
  assertEquals(sizes, [["r 1000 2432"], ["r 1000 1600"]]);
});

Deno.test("a gather reads the elements that its mask selects, one by one", () => {
  const state = extended({ dwords1: [4, -4, 0x100, 0], dwords2: [-1, 0, -1, 0] });
  // vpgatherdd xmm0, [rbx+xmm1*4], xmm2
  assertEquals(vector("c4 e2 69 90 04 8b", state), ["r 1010 4", "r 1400 4"]);
  assertEquals(accesses("c4 e2 69 90 04 8b", 64, long(0x1000n)), [], "no registers are known");
});

Deno.test("a gather by 64-bit indices has half as many elements", () => {
  const state = extended({
    dwords1: [8, 0, -8, -1],
    dwords2: [-1, -1, -1, -1],
  });
  // vpgatherqd xmm0, [rbx+ymm1*4], xmm2; vgatherqpd ymm0, [rbx+ymm1*8], ymm2
  const quads = ["r 1020 4", "r fe0 4", "r 1000 4", "r 1000 4"];
  assertEquals(vector("c4 e2 6d 91 04 8b", state), quads);
  assertEquals(vector("c4 e2 ed 93 04 cb", state), ["r 1040 8", "r fc0 8"]);
});

Deno.test("AVX-512 gathers and scatters go by a mask register", () => {
  const state = extended({ dwords1: [1, 2, 3], dwords17: [5], k1: [0b101] });
  assertEquals(vector("62 f2 7d 49 90 04 8b", state), ["r 1004 4", "r 100c 4"]);
  assertEquals(vector("62 f2 fd 49 a0 04 8b", state), ["w 1004 8", "w 100c 8"]);
  assertEquals(vector("62 f2 7d 41 90 04 8b", state), ["r 1014 4", "r 1000 4"], "zmm17");
});

Deno.test("masked stores and loads access the elements that are selected", () => {
  const state = extended({ dwords1: [0, -1, -1, 0], k1: [0b1100_0010, 0x80] });
  assertEquals(vector("c4 e2 71 2e 03", state), ["w 1004 8"], "vmaskmovps");
  assertEquals(vector("c4 e2 f5 8c 03", state), ["r 1000 8"], "vpmaskmovq");
  assertEquals(
    vector("62 f1 7e 49 7f 03", state),
    ["w 1004 4", "w 1018 8", "w 103c 4"],
    "vmovdqu32",
  );
  assertEquals(
    vector("62 f1 7f 89 6f 03", state),
    ["r 1001 1", "r 1006 2", "r 100f 1"],
    "vmovdqu8",
  );
  assertEquals(vector("62 f2 7d 49 8b 03", state), ["w 1000 16"], "vpcompressd");
  assertEquals(vector("62 f2 fd 49 89 03", state), ["r 1000 24"], "vpexpandq");
  assertEquals(vector("62 f1 75 59 fe 03", state), ["r 1000 4"], "vpaddd with broadcast");
  assertEquals(vector("62 f1 76 09 58 03", state), [], "vaddss");
});

Deno.test("a mask of zeros accesses nothing, but MASKMOVDQU checks all its bytes", () => {
  const state = extended();
  for (const listing of ["62 f1 7e 49 7f 03", "62 f1 75 59 fe 03", "62 f2 7d 49 58 03"]) {
    assertEquals(vector(listing, state), [], listing);
  }
  assertEquals(vector("66 0f f7 ca", state, { rdi: 0x2000n }), ["w 2000 16"]);
});
