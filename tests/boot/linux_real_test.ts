import { assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../src/boot/image.ts";
import { planLinux } from "../../src/boot/linux.ts";
import { type BootOptions, type BootPlan, entryAddress } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { PlannedMemory, refusalOf } from "../lib/images.ts";
import { bzImage, type SetupHeader } from "../lib/linux.ts";

const MIB = 2 ** 20;
const RAM: BootOptions = { ram: ramLayout(16 * MIB) };

function plan(fields: SetupHeader, options: BootOptions = RAM): BootPlan {
  return planLinux(bzImage(fields), "linux:16", options);
}

function refusal(fields: SetupHeader, options: BootOptions = RAM): string {
  return refusalOf(() => plan(fields, options));
}

/** The header as the kernel's real-mode code finds it. */
function headerAt(plan: BootPlan, base: bigint): (offset: number) => number {
  const memory = new PlannedMemory(plan);
  return (offset) => memory.u32(base + BigInt(offset));
}

Deno.test("a bzImage's real-mode code is at 0x10000, entered 0x200 behind, with its heap and stack", () => {
  const { entry } = plan({});
  assertEquals([entry.mode, entry.rip, entry.rsp], ["real", 0n, 0xe000n]);
  assertEquals(entry.selectors, { code: 0x1020, data: 0x1000 });
  assertEquals(entryAddress(entry), 0x1_0200n);
});

Deno.test("its header has what the loader writes, command line above the heap", () => {
  const commandLine = "console=ttyS0 vga=ask";
  const made = plan({}, { ...RAM, commandLine });
  const header = headerAt(made, 0x1_0000n);
  assertEquals(header(0x228), 0x1_e000);
  assertEquals(new PlannedMemory(made).string(0x1_e000n), commandLine);
  assertEquals(header(0x210) & 0xffff, 0x81ff, "loader 0xff, loadflags with CAN_USE_HEAP");
  assertEquals(header(0x224) & 0xffff, 0xde00, "heap_end_ptr");
  assertEquals(header(0x1fa) & 0xffff, 0xfffd, "vid_mode");
  assertEquals(header(0x214), 0x10_0000, "code32_start as it was");
});

Deno.test("a relocatable kernel learns where it is", () => {
  const fields = { relocatable_kernel: 1, pref_address: 0x40_0000n };
  assertEquals(headerAt(plan(fields), 0x1_0000n)(0x214), 0x40_0000);
});

Deno.test("before protocol 2.02 the real-mode code is at 0x90000, and the command line as it was then", () => {
  const made = plan({ version: 0x201 }, { ...RAM, commandLine: "root=0301" });
  assertEquals(made.entry.selectors, { code: 0x9020, data: 0x9000 });
  assertEquals(made.entry.rsp, 0x9800n);
  const header = headerAt(made, 0x9_0000n);
  assertEquals(header(0x20), 0x9800_a33f);
  assertEquals(new PlannedMemory(made).string(0x9_9800n), "root=0301");
  assertEquals(header(0x212) & 0xffff, 0x9800 + 10, "setup_move_size has it too");
  assertEquals(header(0x228), 0, "there is no cmd_line_ptr yet");
  assertEquals(
    headerAt(plan({ version: 0x200 }), 0x9_0000n)(0x210) & 0xff00,
    0x100,
    "no heap flag",
  );
});

Deno.test("a zImage's protected-mode code is at 0x10000, below the real-mode code", () => {
  const made = plan({ loadflags: 0 });
  const kernel = made.segments.find(({ name }) => name === "Linux kernel")!;
  assertEquals(kernel.gpa, 0x1_0000n);
  assertEquals(made.entry.selectors.data, 0x9000);
  assertEquals(made.description, "Linux zImage, protocol 2.15, 16-bit entry");
});

Deno.test("a zImage of more than 512 KiB is refused", () => {
  const image = (size: number) => bzImage({ loadflags: 0 }, new Uint8Array(size));
  planLinux(image(0x8_0000), "linux:16", RAM);
  assertEquals(
    assertThrows(() => planLinux(image(0x8_0001), "linux:16", RAM), ImageError).message,
    "Linux setup header: loadflags say zImage, but 0x80001 bytes of protected-mode code do not " +
      "fit into 0x80000 bytes of low memory",
  );
});

Deno.test("a command line that would reach 0x9a000 is refused where it may not", () => {
  const fields = { version: 0x206, loadflags: 0, cmdline_size: 4000 };
  plan(fields, { ...RAM, commandLine: "x".repeat(2047) });
  assertEquals(
    refusal(fields, { ...RAM, commandLine: "x".repeat(2048) }),
    "the command line has 2048 bytes; at most 2047 fit where protocol 2.06 puts it [commandLine]",
  );
});

Deno.test("a machine without the PC's low megabyte is too small", () => {
  assertEquals(
    refusal({}, { ram: ramLayout(0x8_0000) }),
    "there is no RAM for the BIOS that the kernel's real-mode code calls [memory]",
  );
});

Deno.test("an ACPI root pointer and a seed change nothing in low memory but the header's setup_data", () => {
  const rsdp = { gpa: 0xf_0000n, bytes: new Uint8Array(36) };
  const plain = plan({}).segments.length;
  assertEquals(plan({}, { ...RAM, rsdp, rngSeed: new Uint8Array(32) }).segments.length, plain);
});
