import { assert, assertEquals, assertThrows } from "@std/assert";
import { planElf } from "../../src/boot/elf.ts";
import { parseElf } from "../../src/boot/elf_file.ts";
import { ImageError } from "../../src/boot/image.ts";
import type { BootOptions } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import {
  dynamicElf,
  elf,
  type ElfOptions,
  HALT,
  imageFile,
  LOAD_ADDRESS,
  PlannedMemory,
  refusalOf,
} from "../lib/images.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const RAM: BootOptions = { ram: ramLayout(4 * MIB) };
const TOP = 1n << 64n;

function refusal(options: ElfOptions, boot = RAM): string {
  return refusalOf(() => planElf(elf(options), boot));
}

function segment(fields: NonNullable<ElfOptions["segments"]>[number]): ElfOptions {
  return { segments: [{ bytes: HALT, ...fields }] };
}

Deno.test("an ELF64 executable is loaded by its physical addresses and entered in long mode", () => {
  const plan = planElf(imageFile("hello.elf"), RAM);
  assertEquals(plan.protocol, "elf");
  assertEquals(plan.description, "ELF64 executable for 64-bit long mode");
  assertEquals([plan.entry.mode, plan.entry.rip], ["long", 0x10_0000n]);
  assertEquals(plan.segments[0]!.gpa, 0x10_0000n);
  const facts = Object.fromEntries(plan.facts);
  assertEquals(
    [facts.class, facts.machine, facts.type, facts.entry],
    ["ELF64", "x86-64", "executable", "0x100000"],
  );
});

Deno.test("an ELF32 executable is entered in protected mode", () => {
  const plan = planElf(imageFile("hello32.elf"), RAM);
  assertEquals([plan.entry.mode, plan.entry.rip], ["protected", 0x10_0000n]);
  assertEquals(plan.entry.cr3, undefined);
  assertEquals(new PlannedMemory(plan).gdt().length, 3);
  assertEquals(Object.fromEntries(plan.facts).machine, "i386");
});

Deno.test("each segment keeps its place, its bytes and the zeros behind them", () => {
  const plan = planElf(
    elf({
      segments: [
        { bytes: new Uint8Array([1, 2]), p_paddr: 0x20_0000n, p_memsz: 0x3000n },
        { bytes: HALT, p_paddr: 0x10_0000n },
        { p_paddr: 0x30_0000n, p_memsz: 0x10n },
        { bytes: HALT, p_type: 4, p_paddr: TOP - 1n }, // a note: not loaded
      ],
    }),
    RAM,
  );
  assertEquals(
    plan.segments.slice(0, 3).map(({ gpa, bytes, sizeBytes }) => [gpa, [...bytes], sizeBytes]),
    [[0x20_0000n, [1, 2], 0x3000], [0x10_0000n, [0xf4], 1], [0x30_0000n, [], 0x10]],
  );
  assertEquals(plan.entry.rip, 0x20_0000n);
});

Deno.test("a virtual entry becomes the physical address of the segment that holds it", () => {
  const higher = 0xffff_ffff_8000_0000n;
  const plan = planElf(
    elf({
      segments: [{ bytes: new Uint8Array(0x20), p_paddr: LOAD_ADDRESS, p_vaddr: higher }],
      header: { e_entry: higher + 0x10n },
    }),
    RAM,
  );
  assertEquals(plan.entry.rip, LOAD_ADDRESS + 0x10n);
});

Deno.test("an entry that no virtual range holds is taken for physical", () => {
  const plan = planElf(
    elf({
      segments: [{ bytes: HALT, p_paddr: LOAD_ADDRESS, p_vaddr: 0xc010_0000n }],
      header: { e_entry: LOAD_ADDRESS },
    }),
    RAM,
  );
  assertEquals(plan.entry.rip, LOAD_ADDRESS);
});

Deno.test("a segment may lie above 4 GiB, but not in the device hole below it", () => {
  const ram = ramLayout(5 * GIB);
  const plan = planElf(elf(segment({ p_paddr: 0x1_4000_0000n })), { ram });
  assertEquals(plan.entry.rip, 0x1_4000_0000n);
  const message = refusal(segment({ p_paddr: 0xc000_0000n }), { ram });
  assertEquals(
    message,
    "ELF program header 0: segment at [0xc0000000, +0x1) is not within guest RAM " +
      "(0x0..0xc0000000, 0x100000000..0x180000000), and 0xc0000000..0x100000000 never is, " +
      "which is for devices: link or load the image elsewhere",
  );
});

Deno.test("program headers may be larger than this version knows", () => {
  const image = elf({ segments: [{ bytes: HALT }, { p_paddr: 0x20_0000n, p_memsz: 1n }], gap: 8 });
  assertEquals(parseElf(image).segments.length, 2);
});

Deno.test("position-independent executables and 32-bit x86-64 are executables", () => {
  assertEquals(parseElf(elf({ header: { e_type: 3 } })).type, 3);
  assertEquals(parseElf(elf({ bits: 32, header: { e_machine: 62 } })).bits, 32);
});

Deno.test("options without a meaning for an ELF image are named", () => {
  const options = { ...RAM, commandLine: "x", modules: [{ name: "m", bytes: HALT }] };
  assertEquals(planElf(elf(), { ...options, loadAddress: 0n, entry: 0n }).unused, [
    "commandLine",
    "modules",
    "loadAddress",
    "entry",
  ]);
  assertEquals(planElf(elf(), { ...RAM, commandLine: "", modules: [] }).unused, []);
});

Deno.test("a header that is not an x86 executable's is refused by field and value", () => {
  const refused: [ElfOptions["header"] & object, string][] = [
    [{ magic: 0x464c_457e }, "not an ELF file"],
    [{ class: 3 }, "ELF header: e_ident class 0x3 is neither 1 nor 2"],
    [{ data: 2 }, "ELF header: e_ident data 0x2 is not little-endian (1)"],
    [{ e_type: 1 }, "ELF header: e_type 0x1 is an object file, not an executable: link it"],
    [{ e_type: 4 }, "ELF header: e_type 0x4 is not an executable (2 or 3)"],
    [{ e_machine: 3 }, "ELF header: e_machine 0x3 is not an x86 processor (0x3 or 0x3e)"],
    [{ e_machine: 183 }, "ELF header: e_machine 0xb7 is not an x86 processor (0x3 or 0x3e)"],
    [{ e_phnum: 0 }, "ELF header: e_phnum is 0: there is nothing to load"],
    [{ e_phnum: 0xffff }, "ELF header: e_phnum 0xffff is more than an executable has"],
    [{ e_phentsize: 55 }, "ELF header: e_phentsize 0x37 is less than 0x38"],
    [{ e_entry: 0x20_0000n }, "ELF header: e_entry 0x200000 lies in no loaded segment"],
    [{ e_entry: TOP - 1n }, "ELF header: e_entry 0xffffffffffffffff lies in no loaded segment"],
  ];
  for (const [header, message] of refused) assertEquals(refusal({ header }), message);
  assertEquals(
    refusal({ bits: 32, header: { e_phentsize: 31 } }),
    "ELF header: e_phentsize 0x1f is less than 0x20",
  );
});

Deno.test("a program header table outside the file is refused, wherever e_phoff points", () => {
  const size = elf().length;
  for (const e_phoff of [BigInt(size - 55), BigInt(size), 1n << 63n, TOP - 1n]) {
    assertEquals(
      refusal({ header: { e_phoff } }),
      `ELF header: e_phoff needs bytes 0x${e_phoff.toString(16)} to ` +
        `0x${(e_phoff + 56n).toString(16)}, but the file ends at 0x${size.toString(16)}; ` +
        "it is truncated or damaged",
    );
  }
  assertEquals(
    refusal({ header: { e_phnum: 1024 } }).split(",")[0],
    "ELF header: e_phoff needs bytes 0x40 to 0xe040",
  );
});

Deno.test("a file that is cut short anywhere is refused", () => {
  for (const bits of [32, 64] as const) {
    const image = elf({ bits, segments: [{ bytes: new Uint8Array(16).fill(0xf4) }] });
    for (let length = 0; length < image.length; length++) {
      assertThrows(
        () => planElf(image.subarray(0, length), RAM),
        ImageError,
        "it is truncated or damaged",
        `${length} of ${image.length} bytes`,
      );
    }
    planElf(image, RAM);
  }
});

Deno.test("an impossible segment is refused by field and value", () => {
  const refused: [ElfOptions, string][] = [
    [{ segments: [{ bytes: HALT, p_type: 4 }] }, "ELF: no PT_LOAD segment: nothing to load"],
    [{ segments: [{ p_memsz: 0n }] }, "ELF: no PT_LOAD segment: nothing to load"],
    [
      segment({ p_memsz: 0n }),
      "ELF program header 0: p_filesz 0x1 is more than p_memsz 0x0",
    ],
    [
      segment({ p_memsz: TOP - 1n }),
      "ELF program header 0: p_memsz 0xffffffffffffffff is more than memory can hold",
    ],
    [
      segment({ p_filesz: 2n }),
      "ELF program header 0: p_offset + p_filesz needs bytes 0x78 to 0x7a, " +
      "but the file ends at 0x79; it is truncated or damaged",
    ],
    [
      segment({ p_offset: TOP - 1n }),
      "ELF program header 0: p_offset + p_filesz needs bytes 0xffffffffffffffff to " +
      "0x10000000000000000, but the file ends at 0x79; it is truncated or damaged",
    ],
  ];
  for (const [options, message] of refused) assertEquals(refusal(options), message);
});

Deno.test("a segment outside RAM is refused, even if its end wraps around", () => {
  const outside: [p_paddr: bigint, p_memsz: bigint][] = [
    [0x40_0000n, 1n],
    [0x3f_ffffn, 2n],
    [0n, 0x40_0001n],
    [0x10_0000n, BigInt(Number.MAX_SAFE_INTEGER)],
    [TOP - 1n, 1n],
    [TOP - 0x1000n, 0x2000n],
    [TOP - 0x10_0000n, 0x20_0000n],
    [1n << 63n, 1n],
  ];
  for (const [p_paddr, p_memsz] of outside) {
    const help = p_paddr + p_memsz < TOP >> 24n
      ? " [memory]"
      : ", which never reaches beyond 0x10040000000: link or load the image elsewhere";
    assertEquals(
      refusal(segment({ p_paddr, p_memsz })),
      `ELF program header 0: segment at [0x${p_paddr.toString(16)}, +0x${p_memsz.toString(16)}) ` +
        `is not within guest RAM (0x0..0x400000)${help}`,
    );
  }
  planElf(elf(segment({ p_paddr: 0x3f_ffffn, p_memsz: 1n })), RAM);
});

Deno.test("segments may touch each other, but not overlap with other bytes", () => {
  const pair = (second: bigint, bytes = HALT): ElfOptions => ({
    segments: [
      { bytes: new Uint8Array(0x1000).fill(HALT[0]!), p_paddr: 0x10_0000n },
      { bytes, p_paddr: second },
    ],
  });
  planElf(elf(pair(0x10_1000n)), RAM);
  planElf(elf(pair(0xf_ffffn)), RAM);
  planElf(elf(pair(0x10_0fffn)), RAM);
  assertEquals(
    refusal(pair(0x10_0fffn, new Uint8Array([0x90]))),
    "ELF program header 1: segment at [0x100fff, +0x1) overlaps " +
      "ELF program header 0: segment at [0x100000, +0x1000)",
  );
});

Deno.test("zeros of one segment over bytes of another leave the bytes, in any order", () => {
  const bss = { bytes: HALT, p_paddr: 0x10_0000n, p_memsz: 0x1000n };
  const data = { bytes: new Uint8Array([1, 2, 3]), p_paddr: 0x10_0800n };
  for (const segments of [[bss, data], [data, bss]]) {
    const { segments: placed } = planElf(elf({ segments }), RAM);
    assertEquals(placed[segments.indexOf(data)]!.bytes, data.bytes);
  }
});

Deno.test("parts that are not loaded are not checked: notes, alignments, places of empty ranges", () => {
  const segments = [
    { bytes: HALT, p_align: 3n },
    { p_paddr: 0x20_0000n, p_memsz: 0x1000n, p_offset: 1n << 40n },
    { p_memsz: 0n, p_offset: TOP - 1n, p_paddr: TOP - 1n },
    { p_type: 4, bytes: HALT, p_memsz: 0n, p_align: 3n },
    { p_type: 4, p_filesz: 0x20n, p_offset: 1n << 40n, p_memsz: TOP - 1n },
    { p_type: 2, p_filesz: 0x20n, p_offset: 1n << 40n },
    { p_type: 0x6474_e551, p_memsz: TOP - 1n, p_align: 5n },
  ];
  const plan = planElf(elf({ segments }), RAM);
  assertEquals(plan.segments.slice(0, 2).map(({ sizeBytes }) => sizeBytes), [1, 0x1000]);
});

Deno.test("relative relocations are applied, as no startup code does", () => {
  const data = new Uint8Array(0x80);
  const words = new BigUint64Array(data.buffer);
  words.set([0x20n, 8n, 0x1234n], 5); // offset, R_X86_64_RELATIVE, addend
  words.set([0x78n, 1n, 0x5678n], 8); // another type
  words.set([0x7cn, 8n, 1n], 11); // beyond the bytes
  const plan = planElf(dynamicElf([[7n, 0x28n], [8n, 72n], [9n, 24n]], data), RAM);
  const loaded = new BigUint64Array(plan.segments[0]!.bytes.slice().buffer);
  assertEquals([loaded[4], loaded[15]], [0x1234n, 0n]);
  assertEquals(words[4], 0n, "the file stays as it is");
  const wild = dynamicElf([[7n, TOP - 8n], [8n, 1n << 40n]], data);
  assertEquals(planElf(wild, RAM).segments[0]!.bytes, data);
});

Deno.test("a dynamically linked program is refused with advice", () => {
  const { message } = assertThrows(
    () => planElf(dynamicElf([[1n, 1n], [0n, 0n]], new Uint8Array(8)), RAM),
    ImageError,
  );
  assertEquals(
    message,
    "a dynamically linked program, which only an operating system can start; " +
      "link it with -static and without the C library",
  );
});

Deno.test("a segment where tables would go moves them to the end of RAM", () => {
  const plan = planElf(elf(segment({ p_paddr: 0x1000n, p_memsz: 0x6000n })), RAM);
  const tables = plan.segments.slice(1);
  assertEquals(tables.map(({ gpa }) => gpa >= 0x3f_0000n), tables.map(() => true));
  assertEquals(plan.entry.cr3, 0x3f_a000n);
  assertEquals(plan.entry.gdt!.base, 0x3f_9000n);
});

Deno.test("an image that leaves no room for tables is refused", () => {
  assertEquals(
    refusal(segment({ p_paddr: 0n, p_memsz: 0x40_0000n })),
    "no room in guest RAM for page tables (0x6000 bytes) [memory]",
  );
});

Deno.test("a file that does not look like a kernel draws a warning", () => {
  const warnings = (options: ElfOptions) => planElf(elf(options), RAM).warnings;
  assertEquals(warnings({}), []);
  assertEquals(warnings({ segments: [{ p_memsz: 0x1000n }] }), [
    "ELF header: e_entry 0x100000 lies in zeros, not in code",
  ]);
  assertEquals(warnings({ header: { osabi: 3 } }), [
    "the file is a program for Linux (EI_OSABI 3), and there are no system calls",
  ]);
});

Deno.test("many segments of the same bytes are planned or refused at once", () => {
  const bytes = new Uint8Array(1 << 20).fill(0x90);
  const segments = [{ bytes }, ...Array(1000).fill({ p_offset: 0x10_0000n, p_filesz: 0x8_0000n })];
  const start = performance.now();
  const image = elf({ segments });
  try {
    planElf(image, RAM);
  } catch (error) {
    assert(error instanceof ImageError);
  }
  const zeros = elf({
    segments: segments.map((s, i) => ({ ...s, p_offset: BigInt(0x1_0000 + i) })),
  });
  assertThrows(() => planElf(zeros, RAM), ImageError);
  assert(performance.now() - start < 1000);
});
