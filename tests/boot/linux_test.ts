import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../src/boot/image.ts";
import { planLinux } from "../../src/boot/linux.ts";
import type { LinuxProtocol } from "../../src/boot/linux_params.ts";
import type { BootModule, BootOptions, BootPlan } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { imageFile, PlannedMemory, refusalOf } from "../lib/images.ts";
import { bzImage, type SetupHeader } from "../lib/linux.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const RAM: BootOptions = { ram: ramLayout(16 * MIB) };

function plan(
  fields: SetupHeader = {},
  options: BootOptions = RAM,
  protocol: LinuxProtocol = "linux",
): BootPlan {
  return planLinux(bzImage(fields), protocol, options);
}

function refusal(
  fields: SetupHeader,
  options: BootOptions = RAM,
  protocol: LinuxProtocol = "linux",
): string {
  return refusalOf(() => plan(fields, options, protocol));
}

/** What a kernel finds at RSI. */
class BootParams {
  readonly memory: PlannedMemory;
  readonly at: bigint;

  constructor(plan: BootPlan) {
    this.memory = new PlannedMemory(plan);
    this.at = plan.entry.registers!.rsi!;
  }

  byte(offset: number): number {
    return this.memory.read(this.at + BigInt(offset), 1)[0]!;
  }

  word(offset: number): number {
    return this.memory.u32(this.at + BigInt(offset));
  }

  quad(offset: number): bigint {
    return this.memory.u64(this.at + BigInt(offset));
  }

  /** The memory map: `[base, length, type]`. */
  map(): [bigint, bigint, number][] {
    return Array.from({ length: this.byte(0x1e8) }, (_, i) => {
      const at = 0x2d0 + i * 20;
      return [this.quad(at), this.quad(at + 8), this.word(at + 16)];
    });
  }
}

function kernelOf({ segments }: BootPlan) {
  const { gpa, sizeBytes } = segments.find(({ name }) => name === "Linux kernel")!;
  return [gpa, sizeBytes];
}

function module(name: string, content: string | number): BootModule {
  const bytes = typeof content === "string"
    ? new TextEncoder().encode(content)
    : new Uint8Array(content).fill(7);
  return { name, bytes };
}

Deno.test("the header chooses the entry: 64 bits where there are, else 32, else 16", () => {
  const chosen = (fields: SetupHeader) => plan(fields).protocol;
  assertEquals(chosen({}), "linux:64");
  assertEquals(chosen({ xloadflags: 0x7e }), "linux:32");
  assertEquals(chosen({ version: 0x20b }), "linux:32", "xloadflags came later");
  assertEquals(chosen({ version: 0x207 }), "linux:32");
  assertEquals(chosen({ version: 0x206 }), "linux:16", "the 32-bit entry came later");
  assertEquals(chosen({ version: 0x207, code32_start: 0 }), "linux:16");
  assertEquals(chosen({ version: 0x207, loadflags: 0 }), "linux:16", "a zImage");
});

Deno.test("an entry may be forced, if the kernel has it", () => {
  for (const protocol of ["linux:16", "linux:32", "linux:64"] as const) {
    assertEquals(plan({}, RAM, protocol).protocol, protocol);
  }
  assertEquals(
    refusal({ xloadflags: 2 }, RAM, "linux:64"),
    "Linux setup header: xloadflags 0x2 have no XLF_KERNEL_64: the kernel has no 64-bit entry " +
      "[boot linux:32]",
  );
  assertEquals(
    refusal({ loadflags: 0 }, RAM, "linux:32"),
    "Linux setup header: loadflags without LOADED_HIGH (a zImage) leaves no protected-mode " +
      "entry [boot linux:16]",
  );
  assertEquals(
    refusal({ code32_start: 0 }, RAM, "linux:64"),
    "Linux setup header: code32_start 0x0 leaves no protected-mode entry [boot linux:16]",
  );
});

Deno.test("the 32-bit entry is the kernel's start, in protected mode, with Linux's selectors", () => {
  const { entry, description } = plan({}, RAM, "linux:32");
  assertEquals([entry.mode, entry.rip], ["protected", 0x10_0000n]);
  assertEquals(entry.selectors, { code: 0x10, data: 0x18 });
  assertEquals(Object.keys(entry.registers!), ["rsi"], "EBX, EBP and EDI must be 0");
  assertEquals(description, "Linux bzImage, protocol 2.15, 32-bit entry");
});

Deno.test("the 64-bit entry is 0x200 behind the start, in long mode, with Linux's selectors", () => {
  const made = plan();
  assertEquals([made.entry.mode, made.entry.rip], ["long", 0x10_0200n]);
  assertEquals(made.entry.selectors, { code: 0x10, data: 0x18 });
  const gdt = new PlannedMemory(made).gdt();
  assertEquals(gdt, [0n, 0n, 0xaf_9b00_0000_ffffn, 0xcf_9300_0000_ffffn]);
  assertEquals(
    assertThrows(() => planLinux(bzImage({}, new Uint8Array(0x200)), "linux", RAM), ImageError)
      .message,
    "Linux kernel: the 64-bit entry 0x100200 lies past its last byte",
  );
});

Deno.test("a relocatable kernel goes where it prefers, with the memory that it needs to start", () => {
  const fields = {
    relocatable_kernel: 1,
    kernel_alignment: 0x20_0000,
    pref_address: 0x40_0000n,
    init_size: 0x30_0000,
  };
  const made = plan(fields);
  assertEquals(kernelOf(made), [0x40_0000n, 0x30_0000]);
  assertEquals(new BootParams(made).word(0x214), 0x40_0000, "code32_start");
  assertEquals(made.entry.rip, 0x40_0200n);
  assertEquals(made.warnings, []);
});

Deno.test("where that is not RAM, it goes to 1 MiB, with room to move itself, and a warning says so", () => {
  const fields = {
    relocatable_kernel: 1,
    kernel_alignment: 0x20_0000,
    pref_address: 0x100_0000n,
    init_size: 0x30_0000,
  };
  const made = plan(fields, { ram: ramLayout(8 * MIB) });
  assertEquals(kernelOf(made), [0x10_0000n, 0x40_0000]);
  assertEquals(made.warnings, [
    "the kernel prefers to be loaded at 0x1000000 with 0x300000 bytes of RAM there, and may not " +
    "run at 0x100000; give the guest more memory",
  ]);
});

Deno.test("a kernel that is not relocatable is loaded at 1 MiB and moves to pref_address", () => {
  const fields = { pref_address: 0x20_0000n, init_size: 0x10_0000 };
  assertEquals(kernelOf(plan(fields)), [0x10_0000n, 0x20_0000]);
  assertEquals(kernelOf(plan({ ...fields, version: 0x209 })), [0x10_0000n, 0x400], "too old");
  assertEquals(
    refusal({ pref_address: 0x8000n }),
    "Linux setup header: pref_address 0x8000 is below 0x100000, where the kernel is loaded",
  );
});

Deno.test("a kernel that needs more memory than the guest has is refused with the remedy", () => {
  const remedies = [
    [{ init_size: 0x8000_0000 }, "[memory]"],
    [
      { init_size: 0xffff_ffff },
      "never is, which is for devices: link or load the image elsewhere",
    ],
    [{ pref_address: 1n << 63n }, "link or load the image elsewhere"],
  ] as const;
  for (const [fields, remedy] of remedies) {
    const message = refusal(fields, { ram: ramLayout(1 * GIB) });
    assert(message.startsWith("Linux kernel at [0x100000, +0x"), message);
    assert(message.endsWith(remedy), message);
  }
});

Deno.test("boot_params have the kernel's header, and nothing else of its first sectors", () => {
  const image = bzImage();
  image.fill(0xee, 0, 0x1f1);
  image.fill(0xee, 0x26c, 0x400);
  const params = new BootParams(planLinux(image, "linux", RAM));
  assertEquals(params.word(0x202), 0x5372_6448);
  assertEquals([params.byte(0x1ef), params.byte(0x1f0)], [0, 0], "the sentinel is 0");
  assertEquals(params.byte(0x26c), 0);
  assertEquals(params.byte(0x210), 0xff, "type_of_loader");
});

Deno.test("boot_params have the memory map, with all tables in it", () => {
  const params = new BootParams(plan());
  const tables = params.map().at(-1)!;
  assertEquals([tables[0] + tables[1], tables[2]], [0x100_0000n, 2]);
  assert(params.at >= tables[0], "boot_params are reserved");
  const large = new BootParams(plan({}, { ram: ramLayout(5 * GIB) }));
  assertEquals(large.map().at(-1), [0x1_0000_0000n, 0x8000_0000n, 1]);
});

Deno.test("reserved ranges are in the map, and stay free", () => {
  const reserved = [{ gpa: 0xff_0000, sizeBytes: 0x1_0000, type: 3 }];
  const made = plan({}, { ...RAM, reserved });
  assertEquals(new BootParams(made).map().at(-1), [0xff_0000n, 0x1_0000n, 3]);
  assert(made.segments.every(({ gpa, sizeBytes }) => gpa + BigInt(sizeBytes) <= 0xff_0000n));
});

Deno.test("the command line is passed on, up to the kernel's limit", () => {
  const passed = (commandLine: string, fields: SetupHeader = {}) => {
    const params = new BootParams(plan(fields, { ...RAM, commandLine }));
    return params.memory.string(BigInt(params.word(0x228)));
  };
  assertEquals(passed("console=ttyS0"), "console=ttyS0");
  assertEquals(passed(""), "");
  assertEquals(passed("x".repeat(2047), { cmdline_size: 2047 }).length, 2047);
  assertEquals(
    refusal({ cmdline_size: 10 }, { ...RAM, commandLine: "x".repeat(11) }),
    "the command line has 11 bytes; at most 10 fit [commandLine]",
  );
  assertEquals(
    refusal({ version: 0x205 }, { ...RAM, commandLine: "x".repeat(256) }, "linux:32"),
    "the command line has 256 bytes; at most 255 fit [commandLine]",
  );
  assertEquals(
    refusal({}, { ...RAM, commandLine: "a\0b" }),
    "the command line has a zero byte at 1, where it would end [commandLine]",
  );
});

Deno.test("the initrd is as high as RAM and initrd_addr_max allow, on a page boundary", () => {
  const modules = [module("initrd", 0x1234)];
  const placed = (fields: SetupHeader, commandLine = "") => {
    const params = new BootParams(plan(fields, { ...RAM, modules, commandLine }, "linux:32"));
    assertEquals(params.word(0x21c), 0x1234);
    assertEquals(params.memory.read(BigInt(params.word(0x218)), 0x1234), modules[0]!.bytes.slice());
    return params.word(0x218);
  };
  assertEquals(placed({}), 0xff_e000);
  assertEquals(placed({ initrd_addr_max: 0x7f_ffff }), 0x7f_e000);
  assertEquals(placed({ initrd_addr_max: 0x7f_f233 }), 0x7f_e000);
  assertEquals(placed({ initrd_addr_max: 0x7f_f232 }), 0x7f_d000, "to the byte");
  assertEquals(placed({}, "mem=4M quiet"), 0x3f_e000, "mem= is for loaders too");
});

Deno.test("an initrd without room is refused", () => {
  const modules = [module("initrd", 15 * MIB)];
  assertEquals(
    refusal({}, { ...RAM, modules }),
    "the initrd of 0xf00000 bytes has no room in RAM below 0x80000000 " +
      "(initrd_addr_max 0x7fffffff) [memory]",
  );
  assertEquals(
    refusal({ initrd_addr_max: 0xf_ffff }, { ...RAM, modules: [module("initrd", 1)] }),
    "the initrd of 0x1 bytes has no room in RAM below 0x100000 (initrd_addr_max 0xfffff) [memory]",
  );
});

Deno.test("several files make one initrd, each at a multiple of four; empty ones make none", () => {
  const modules = [module("a", "12345"), module("b", "xyz"), module("c", "!")];
  const params = new BootParams(plan({}, { ...RAM, modules }));
  const bytes = params.memory.read(BigInt(params.word(0x218)), params.word(0x21c));
  assertEquals(new TextDecoder().decode(bytes), "12345\0\0\0xyz\0!");
  const none = new BootParams(plan({}, { ...RAM, modules: [module("empty", 0)] }));
  assertEquals([none.word(0x218), none.word(0x21c)], [0, 0]);
});

Deno.test("a seed is handed over to kernels that take one", () => {
  const rngSeed = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
  const made = planLinux(imageFile("linux-info.bzimage"), "linux", { ...RAM, rngSeed });
  const params = new BootParams(made);
  const node = params.quad(0x250);
  assertEquals(params.memory.u64(node), 0n, "no further node");
  assertEquals([params.memory.u32(node + 8n), params.memory.u32(node + 12n)], [9, 32]);
  assertEquals(params.memory.read(node + 16n, 32), rngSeed);
  assertEquals(new BootParams(plan({}, { ...RAM, rngSeed })).quad(0x250), 0n);
});

Deno.test("the ACPI root pointer is handed over", () => {
  const rsdp = { gpa: 0xf_1234n, bytes: new Uint8Array(36) };
  assertEquals(new BootParams(plan({}, { ...RAM, rsdp })).quad(0x70), 0xf_1234n);
  assertEquals(new BootParams(plan()).quad(0x70), 0n);
});

Deno.test("vga= sets the video mode", () => {
  const mode = (commandLine: string) =>
    new BootParams(plan({}, { ...RAM, commandLine })).word(0x1f8) >>> 16;
  assertEquals(mode("vga=0x317"), 0x317);
  assertEquals(mode("quiet"), 0xffff);
});

Deno.test("options without a meaning for a Linux kernel are named", () => {
  const options = { ...RAM, commandLine: "x", loadAddress: 0n, entry: 0n };
  assertEquals(plan({}, options).unused, [
    "loadAddress",
    "entry",
  ]);
});
