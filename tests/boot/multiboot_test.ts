import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../src/boot/image.ts";
import { findMultibootHeader, planMultiboot } from "../../src/boot/multiboot.ts";
import type { BootModule, BootOptions, BootPlan } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import {
  elf,
  imageFile,
  LOAD_ADDRESS,
  multiboot,
  multibootHeader,
  type MultibootOptions,
  PlannedMemory,
  refusalOf,
} from "../lib/images.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const RAM: BootOptions = { ram: ramLayout(4 * MIB) };
const LOAD = Number(LOAD_ADDRESS);

function refusal(image: Uint8Array, options: BootOptions = RAM): string {
  return refusalOf(() => planMultiboot(image, options));
}

/** A Multiboot header in an ELF segment that is also entered there. */
function multibootElf(options: Parameters<typeof elf>[0] = {}, flags = 0): Uint8Array<ArrayBuffer> {
  return elf({ bits: 32, segments: [{ bytes: multibootHeader(flags) }], ...options });
}

/** What a kernel finds at EBX. */
class Information {
  readonly memory: PlannedMemory;
  readonly at: bigint;

  constructor(plan: BootPlan) {
    this.memory = new PlannedMemory(plan);
    this.at = plan.entry.registers!.rbx!;
  }

  word(offset: number): number {
    return this.memory.u32(this.at + BigInt(offset));
  }

  string(offset: number): string {
    return this.memory.string(BigInt(this.word(offset)));
  }

  /** The modules: `[start, end, string]`. */
  modules(): [number, number, string][] {
    return Array.from({ length: this.word(20) }, (_, i) => {
      const at = BigInt(this.word(24) + i * 16);
      const [start, end, string] = [0n, 4n, 8n].map((field) => this.memory.u32(at + field));
      return [start!, end!, this.memory.string(BigInt(string!))];
    });
  }

  /** The memory map: `[base, length, type]`. */
  map(): [bigint, bigint, number][] {
    const entries: [bigint, bigint, number][] = [];
    const end = BigInt(this.word(48) + this.word(44));
    for (let at = BigInt(this.word(48)); at < end;) {
      const { memory } = this;
      entries.push([memory.u64(at + 4n), memory.u64(at + 12n), memory.u32(at + 20n)]);
      at += BigInt(memory.u32(at)) + 4n;
    }
    return entries;
  }
}

Deno.test("an ELF kernel is loaded as ELF and entered in protected mode with the magic in EAX", () => {
  const plan = planMultiboot(imageFile("hello.mb"), RAM);
  assertEquals(plan.description, "Multiboot 1 kernel (ELF)");
  assertEquals(plan.entry.mode, "protected");
  assertEquals(plan.entry.registers!.rax, 0x2bad_b002n);
  assertEquals(plan.segments[0]!.gpa, LOAD_ADDRESS);
  assert(plan.entry.rip > LOAD_ADDRESS, "behind the header");
  assertEquals(Object.fromEntries(plan.facts).class, "ELF32");
});

Deno.test("a kernel with addresses in its header is loaded and entered by them", () => {
  const plan = planMultiboot(imageFile("hello.kludge"), RAM);
  assertEquals(plan.description, "Multiboot 1 kernel (loaded by its header)");
  assertEquals([plan.segments[0]!.gpa, plan.segments[0]!.bytes.length], [LOAD_ADDRESS, 75]);
  assertEquals(plan.entry.rip, LOAD_ADDRESS + 32n);
});

Deno.test("load_end_addr 0 means the whole file, bss_end_addr 0 no zeros behind it", () => {
  const image = multiboot({ addresses: { load_end_addr: 0 }, code: new Uint8Array(100) });
  const [segment] = planMultiboot(image, RAM).segments;
  assertEquals([segment!.bytes.length, segment!.sizeBytes], [132, 132]);
  const part = multiboot({ addresses: { load_end_addr: LOAD + 40, bss_end_addr: LOAD + 0x1000 } });
  const longer = new Uint8Array([...part, ...Array(100).fill(7)]);
  const [cut] = planMultiboot(longer, RAM).segments;
  assertEquals([cut!.bytes.length, cut!.sizeBytes], [40, 0x1000]);
});

Deno.test("bytes before load_addr in the file are not loaded", () => {
  const before = new Uint8Array(64);
  const at = LOAD + 16;
  const image = multiboot({
    before,
    addresses: { header_addr: at, load_addr: LOAD, load_end_addr: 0, entry_addr: at },
  });
  const [segment] = planMultiboot(image, RAM).segments;
  assertEquals(segment!.bytes.length, image.length - 48);
});

Deno.test("the header is found 4-byte aligned within the first 8192 bytes, and only there", () => {
  const at = (offset: number) =>
    findMultibootHeader(new Uint8Array([...new Uint8Array(offset), ...multibootHeader()]))?.offset;
  for (const offset of [0, 4, 4096, 8192 - 12]) assertEquals(at(offset), offset);
  for (const offset of [1, 2, 3, 8192 - 8, 8192]) assertEquals(at(offset), undefined);
  assertEquals(findMultibootHeader(multibootHeader().subarray(0, 11)), undefined);
  assertEquals(findMultibootHeader(new Uint8Array()), undefined);
});

Deno.test("a magic number without its checksum is skipped for a later header", () => {
  const wrong = multibootHeader(0, 1);
  assertEquals(findMultibootHeader(wrong), undefined);
  const both = new Uint8Array([...wrong, ...multibootHeader(3)]);
  assertEquals(findMultibootHeader(both), { offset: 12, flags: 3 });
  assertEquals(
    refusal(wrong),
    "no Multiboot header (0x1badb002) in the first 8192 bytes of the file; " +
      "the Multiboot header at 0x0 is ignored: its checksum is 0x1, not 0xe4524ffe",
  );
  assertEquals(
    refusal(new Uint8Array(16)),
    "no Multiboot header (0x1badb002) in the first 8192 bytes of the file",
  );
});

Deno.test("a mandatory flag that is not in the specification is refused, an optional one not", () => {
  assertEquals(
    refusal(multiboot({ flags: 0x1_0008 })),
    "Multiboot header: flags 0x10008 ask for 0x8, which the specification does not define",
  );
  planMultiboot(multiboot({ flags: 0x8001_0003 }), RAM);
});

Deno.test("a kernel that asks for a video mode learns that there is none", () => {
  const { warnings } = planMultiboot(multiboot({ flags: 0x1_0004 }), RAM);
  assertEquals(warnings, [
    "the kernel asks for a video mode; there is no display, so it gets none",
  ]);
});

Deno.test("impossible addresses are refused by field and value", () => {
  const refused: [MultibootOptions["addresses"] & object, string][] = [
    [{ header_addr: LOAD - 1 }, "header_addr 0xfffff is below load_addr 0x100000"],
    [{ header_addr: LOAD + 8 }, "load_addr 0x100000 lies 0x8 bytes before the start of the file"],
    [{ load_end_addr: LOAD - 1 }, "load_end_addr 0xfffff is below load_addr 0x100000"],
    [
      { load_end_addr: LOAD + 34 },
      "load_end_addr needs bytes 0x0 to 0x22, but the file ends at 0x21; it is truncated or damaged",
    ],
    [{ bss_end_addr: LOAD + 1 }, "bss_end_addr 0x100001 is below the end of the image 0x100021"],
  ];
  for (const [addresses, message] of refused) {
    assertEquals(refusal(multiboot({ addresses })), `Multiboot header: ${message}`);
  }
});

Deno.test("a kernel that is not within RAM is refused", () => {
  const high = 0xffff_f000;
  const addresses = {
    header_addr: high,
    load_addr: high,
    load_end_addr: 0,
    entry_addr: high,
  };
  const notInRam =
    "is not within guest RAM (0x0..0x400000), and 0xc0000000..0x100000000 never is, " +
    "which is for devices: link or load the image elsewhere";
  assertEquals(
    refusal(multiboot({ addresses })),
    `Multiboot image at [0xfffff000, +0x21) ${notInRam}`,
  );
  const bss = { bss_end_addr: 0xffff_ffff };
  assertEquals(
    refusal(multiboot({ addresses: bss })),
    `Multiboot image at [0x100000, +0xffefffff) ${notInRam}`,
  );
  assertEquals(
    refusal(multiboot({ addresses: { bss_end_addr: 0x4000_0000 } })),
    "Multiboot image at [0x100000, +0x3ff00000) is not within guest RAM (0x0..0x400000) [memory]",
  );
});

Deno.test("an entry outside of what is loaded is refused", () => {
  assertEquals(
    refusal(multiboot({ addresses: { entry_addr: LOAD - 1 } })),
    "Multiboot: entry 0xfffff lies in no loaded segment",
  );
  assertEquals(
    refusal(multiboot({ addresses: { load_end_addr: LOAD } })),
    "Multiboot: entry 0x100020 lies in no loaded segment",
  );
  const high = { bytes: multibootHeader(), p_paddr: 0x1_0000_0000n };
  assertEquals(
    refusal(elf({ segments: [high] }), { ram: ramLayout(5 * GIB) }),
    "Multiboot: entry 0x100000000 is above 4 GiB, where 32-bit code ends",
  );
});

Deno.test("without addresses in the header the file must be ELF", () => {
  assertEquals(
    refusal(multibootHeader()),
    "Multiboot header: flags have bit 16 clear, so the file must be ELF, but it is not",
  );
});

Deno.test("a file that is cut short anywhere is refused", () => {
  const images = [multiboot(), multibootElf()];
  for (const image of images) {
    planMultiboot(image, RAM);
    for (let length = 0; length < image.length; length++) {
      assertThrows(() => planMultiboot(image.subarray(0, length), RAM), ImageError);
    }
  }
});

Deno.test("the information says which of its fields are valid, and names the loader", () => {
  const information = new Information(planMultiboot(multiboot(), RAM));
  assertEquals(information.word(0), 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
  assertEquals(information.string(64), "vmexit");
  assertEquals(information.string(16), "");
  assertEquals(information.modules(), []);
});

Deno.test("the information has the memory sizes and map, RAM above 4 GiB included", () => {
  const information = new Information(planMultiboot(multiboot(), { ram: ramLayout(5 * GIB) }));
  assertEquals(information.word(4), 639, "KiB of lower memory");
  assertEquals(information.word(8), (3 * GIB - MIB) / KIB, "KiB of upper memory");
  assertEquals(information.map(), [
    [0n, 0x9_fc00n, 1],
    [0x9_fc00n, 0x400n, 2],
    [0xf_0000n, 0x1_0000n, 2],
    [0x10_0000n, 0xbff0_0000n, 1],
    [0x1_0000_0000n, 0x8000_0000n, 1],
  ]);
});

Deno.test("the command line is passed on, as UTF-8, to 4095 bytes and no further", () => {
  const passed = (commandLine: string) =>
    new Information(planMultiboot(multiboot(), { ...RAM, commandLine })).string(16);
  assertEquals(passed("console=ttyS0 quiet"), "console=ttyS0 quiet");
  assertEquals(passed("é"), "\xc3\xa9");
  assertEquals(passed("x".repeat(4095)).length, 4095);
  assertEquals(
    refusal(multiboot(), { ...RAM, commandLine: "x".repeat(4096) }),
    "the command line has 4096 bytes; at most 4095 fit [commandLine]",
  );
});

function module(name: string, sizeBytes: number, fill = 0x55): BootModule {
  return { name, bytes: new Uint8Array(sizeBytes).fill(fill) };
}

Deno.test("modules stand behind the kernel, each from a page boundary on, and are listed", () => {
  const modules = [module("first", 0x1001, 1), module("second", 1, 2), module("third", 0x1000, 3)];
  const image = multiboot({ addresses: { bss_end_addr: LOAD + 0x1234 } });
  const plan = planMultiboot(image, { ...RAM, modules });
  const information = new Information(plan);
  assertEquals(information.modules(), [
    [0x10_2000, 0x10_3001, "first"],
    [0x10_4000, 0x10_4001, "second"],
    [0x10_5000, 0x10_6000, "third"],
  ]);
  const bytes = information.memory.read(0x10_2000n, 0x1001);
  assert(bytes.every((byte) => byte === 1));
});

Deno.test("a module of a low kernel stands above 1 MiB, an empty one takes no room", () => {
  const low = { bytes: multibootHeader(), p_paddr: 0x8000n };
  const modules = [module("empty", 0), module("real", 16)];
  const plan = planMultiboot(multibootElf({ segments: [low] }), { ...RAM, modules });
  assertEquals(new Information(plan).modules(), [
    [0x10_0000, 0x10_0000, "empty"],
    [0x10_0000, 0x10_0010, "real"],
  ]);
});

Deno.test("modules stay below 4 GiB and within RAM", () => {
  assertEquals(
    refusal(multiboot(), { ...RAM, modules: [module("initrd", 3 * MIB)] }),
    "module initrd at [0x101000, +0x300000) is not within guest RAM (0x0..0x400000) [memory]",
  );
  const high = { bytes: multibootHeader(), p_paddr: 0xbfff_f000n };
  const image = multibootElf({ segments: [high] });
  const options = { ram: ramLayout(5 * GIB), modules: [module("m", 0x1000)] };
  assertEquals(
    refusal(image, options).split(" (")[0],
    "module m at [0xc0000000, +0x1000) is not within guest RAM",
  );
});

Deno.test("a module's name is limited like the command line", () => {
  const named = (length: number): BootOptions => ({
    ...RAM,
    modules: [module("x".repeat(length), 1)],
  });
  planMultiboot(multiboot(), named(4095));
  assertEquals(
    refusal(multiboot(), named(4096)),
    "the module name has 4096 bytes; at most 4095 fit",
  );
});

Deno.test("tables that low memory has no room for are at the end of RAM, and reserved", () => {
  const low = { bytes: multibootHeader(), p_paddr: 0x1000n, p_memsz: 0x6000n };
  const plan = planMultiboot(multibootElf({ segments: [low] }), RAM);
  const information = new Information(plan);
  assertEquals(plan.entry.gdt!.base, 0x3f_f000n);
  assertEquals(information.at, 0x3f_e000n);
  assertEquals(information.map().slice(-2), [
    [0x10_0000n, 0x2f_e000n, 1],
    [0x3f_e000n, 0x2000n, 2],
  ]);
  assertEquals(information.word(8), 0x2f_e000 / KIB);
});

Deno.test("information too large for low memory is at the end of RAM, and reserved", () => {
  const modules = Array.from({ length: 10 }, (_, i) => module(`${i}`.repeat(4095), 1));
  const plan = planMultiboot(multiboot(), { ...RAM, modules });
  const information = new Information(plan);
  assertEquals(information.modules().map(([, , name]) => name.length), Array(10).fill(4095));
  assertEquals(information.map().at(-1), [information.at, 0x40_0000n - information.at, 2]);
});

Deno.test("ELF sections are all in memory, and the headers say where: symbols and their names", () => {
  const information = new Information(planMultiboot(imageFile("mb-info.mb"), RAM));
  assertEquals(information.word(0) & 1 << 5, 1 << 5);
  const [count, size, headers, names] = [28, 32, 36, 40].map((at) => information.word(at));
  assertEquals([count, size, names], [4, 40, 3]);
  const field = (offset: number) => information.memory.u32(BigInt(headers! + 3 * 40 + offset));
  const strings = information.memory.read(BigInt(field(12)), field(20));
  assertEquals(new TextDecoder().decode(strings), "\0.shstrtab\0.text\0.bss\0");
  assertEquals(new Information(planMultiboot(multiboot(), RAM)).word(0) & 1 << 5, 0);
});

Deno.test("sections that cannot be are refused by field and value", () => {
  const image = imageFile("mb-info.mb");
  const table = new DataView(image.buffer).getUint32(32, true);
  const refused: [number, number, string][] = [
    [46, 39, "ELF header: e_shentsize 0x27 is less than 0x28"],
    [48, 0x1001, "ELF header: e_shnum 0x1001 is more than a kernel has"],
    [table + 3 * 40 + 32, 3, "ELF section 3: sh_addralign 0x3 is not a power of two up to 4096"],
    [table + 3 * 40 + 16, 0xffff, "ELF section 3: sh_offset + sh_size needs bytes"],
  ];
  for (const [at, value, message] of refused) {
    const broken = image.slice();
    new DataView(broken.buffer).setUint16(at, value, true);
    assert(refusal(broken).startsWith(message), refusal(broken));
  }
});

Deno.test("modules keep off tables and reserved ranges, which are in the map", () => {
  const reserved = [{ gpa: 0x3f_0000, sizeBytes: 0x1_0000, type: 3 }];
  const information = new Information(planMultiboot(multiboot(), { ...RAM, reserved }));
  assertEquals(information.map().at(-1), [0x3f_0000n, 0x1_0000n, 3]);
  const low = { bytes: multibootHeader(), p_paddr: 0x1000n, p_memsz: 0x6000n };
  const options = { ...RAM, reserved, modules: [module("m", 0x1000)] };
  const high = new Information(planMultiboot(multibootElf({ segments: [low] }), options));
  assertEquals(high.modules(), [[0x10_0000, 0x10_1000, "m"]], "though tables are at RAM's end");
  assertEquals(high.map().slice(-2), [[0x3e_e000n, 0x2000n, 2], [0x3f_0000n, 0x1_0000n, 3]]);
});

Deno.test("options without a meaning for a Multiboot kernel are named", () => {
  const options = { ...RAM, commandLine: "x", loadAddress: 0n, entry: 0n };
  assertEquals(planMultiboot(multiboot(), options).unused, [
    "loadAddress",
    "entry",
  ]);
});
