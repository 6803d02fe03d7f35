import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { detectProtocol, planBoot } from "../../src/boot/detect.ts";
import { ImageError } from "../../src/boot/image.ts";
import { BOOT_PROTOCOLS, type BootOptions } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import {
  elf,
  HALT,
  imageFile,
  multiboot,
  multibootHeader,
  note,
  PlannedMemory,
} from "../lib/images.ts";
import { firmwareOptions } from "../../src/firmware/tables.ts";
import { bzImage } from "../lib/linux.ts";

const RAM = { ram: ramLayout(4 << 20) };

function bootSector(): Uint8Array {
  const sector = new Uint8Array(512);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

Deno.test("the built images are what their names say", () => {
  const expected = {
    "hello.elf": "elf",
    "hello32.elf": "elf",
    "hello.mb": "multiboot",
    "hello.kludge": "multiboot",
    "mb2-info.mb2": "multiboot2",
    "linux-info.bzimage": "linux",
    "vmlinux.elf": "linux",
    "pvh-info.pvh": "pvh",
    "hello.bin16": "flat16",
    "hello.bin32": "flat32",
    "hello.bin64": "flat64",
  };
  for (const [name, protocol] of Object.entries(expected)) {
    assertEquals(detectProtocol(imageFile(name), `images/${name}`), protocol, name);
  }
});

Deno.test("a header overrides a name", () => {
  assertEquals(detectProtocol(elf(), "kernel.bin16"), "elf");
  assertEquals(detectProtocol(multiboot(), "kernel.bin64"), "multiboot");
  const both = elf({ bits: 32, segments: [{ bytes: multibootHeader() }] });
  assertEquals(detectProtocol(both, "kernel"), "multiboot", "a Multiboot kernel may be ELF");
});

Deno.test("an ELF kernel's notes decide how it is booted: a PVH entry before Linux", () => {
  const kernel = (...notes: Uint8Array[]) =>
    elf({
      segments: [{ bytes: HALT }, ...notes.map((bytes) => ({ bytes, p_type: 4 }))],
    });
  const linux = note("Linux", 0x101, new Uint8Array(4));
  const pvh = note("Xen", 18, new Uint8Array([0, 0, 0x10, 0]));
  assertEquals(detectProtocol(kernel(linux), "vmlinux"), "linux");
  assertEquals(detectProtocol(kernel(linux, pvh), "vmlinux"), "pvh");
  assertEquals(detectProtocol(kernel(note("GNU", 3, new Uint8Array(20))), "a.out"), "elf");
});

Deno.test("an unpacked kernel is booted in place of its bzImage", () => {
  const payload = imageFile("pvh-info.pvh");
  const options = { ...RAM, payload };
  assertEquals(planBoot(bzImage(), "bzImage", "pvh", options).protocol, "pvh");
  assertEquals(planBoot(bzImage(), "bzImage", "auto", options).protocol, "linux:32");
  assertEquals(planBoot(bzImage(), "bzImage", "auto", RAM).protocol, "linux:64");
});

Deno.test("a boot sector is recognized by its size and signature, or by its name", () => {
  assertEquals(detectProtocol(bootSector(), "disk.img"), "flat16");
  assertEquals(detectProtocol(HALT, "sector.boot"), "flat16");
  const unsigned = bootSector().fill(0, 510);
  const longer = new Uint8Array([...bootSector(), 0]);
  for (const image of [unsigned, longer]) {
    assertThrows(() => detectProtocol(image, "disk.img"), ImageError);
  }
});

Deno.test("an unknown file is refused with all choices", () => {
  for (const name of ["kernel", "kernel.bin", "bin16", "kernel.bin16.gz"]) {
    const { message } = assertThrows(() => detectProtocol(HALT, name), ImageError);
    assertStringIncludes(message, "not a format that vmexit knows");
    for (const protocol of BOOT_PROTOCOLS) assertStringIncludes(message, protocol);
  }
});

Deno.test("an empty file is refused, whatever its name", () => {
  assertThrows(() => detectProtocol(new Uint8Array(), "a.bin16"), ImageError, "the file is empty");
});

Deno.test("the plan follows what is detected, or the protocol given", () => {
  assertEquals(planBoot(HALT, "halt.bin32", "auto", RAM).protocol, "flat32");
  assertEquals(planBoot(HALT, "halt.bin32", "flat64", RAM).protocol, "flat64");
  assertEquals(planBoot(elf(), "kernel", "flat16", RAM).protocol, "flat16");
  assertEquals(planBoot(elf(), "kernel", "auto", RAM).protocol, "elf");
  assertEquals(planBoot(multiboot(), "kernel", "auto", RAM).protocol, "multiboot");
  assertThrows(() => planBoot(HALT, "kernel", "elf", RAM), ImageError);
  assertThrows(() => planBoot(HALT, "kernel", "multiboot", RAM), ImageError);
});

Deno.test("an ELF file that looks like another protocol's kernel boots with a warning", () => {
  const warnings = (image: Uint8Array) => planBoot(image, "", "auto", RAM).warnings;
  const late = new Uint8Array([...new Uint8Array(8192), ...multibootHeader()]);
  const odd = new Uint8Array([...new Uint8Array(1), ...multibootHeader()]);
  const wrong = multibootHeader(0, 1);
  const placed = "it must lie in the first 8192 bytes of the file, 4-byte aligned";
  for (
    const [bytes, warning] of [
      [late, `the Multiboot header at 0x2078 is ignored: ${placed}`],
      [odd, `the Multiboot header at 0x79 is ignored: ${placed}`],
      [wrong, "the Multiboot header at 0x78 is ignored: its checksum is 0x1, not 0xe4524ffe"],
    ] as const
  ) {
    assertEquals(warnings(elf({ segments: [{ bytes }] })), [warning]);
  }
  const xen = note("Xen", 6, new Uint8Array(4));
  assertEquals(warnings(elf({ segments: [{ bytes: HALT }, { bytes: xen, p_type: 4 }] })), [
    "the file has notes for Xen, but no PVH entry (note 18)",
  ]);
  assertEquals(warnings(elf()), []);
  assertEquals(planBoot(elf({ segments: [{ bytes: late }] }), "", "elf", RAM).warnings, []);
});

Deno.test("files that are often taken for kernels are named", () => {
  const refused = (bytes: Iterable<number>) =>
    assertThrows(() => detectProtocol(Uint8Array.from(bytes), "file"), ImageError).message;
  const text = (content: string) => new TextEncoder().encode(content);
  const efi = new Uint8Array(0x200);
  efi.set(text("MZ"));
  efi[0x3c] = 0x80;
  efi.set(text("PE\0\0"), 0x80);
  efi[0x80 + 0x5c] = 10;
  const disk = new Uint8Array([...bootSector(), ...new Uint8Array(512)]);
  const late = new Uint8Array([...new Uint8Array(8192), ...multibootHeader()]);
  for (
    const [bytes, what] of [
      [efi, "it is an EFI application, and there is no EFI firmware"],
      [disk, "it is a disk image that begins with a boot sector, and there are no disks"],
      [text("#!/bin/sh\n"), "it is a script"],
      [text("!<arch>\n"), "it is a library of object files"],
      [text("070701"), "it is a cpio archive"],
      [[0x1f, 0x8b, 8, 0], "it is compressed (gzip); decompress it first"],
      [late, "the Multiboot header at 0x2000 is ignored"],
    ] as const
  ) {
    assertStringIncludes(refused(bytes), `not a format that vmexit knows: ${what}`);
  }
});

Deno.test("a Multiboot 1 kernel gets the image's name before its arguments", () => {
  const commandLine = (name: string, options: Partial<BootOptions>) => {
    const plan = planBoot(multiboot(), name, "multiboot", { ...RAM, ...options });
    const memory = new PlannedMemory(plan);
    return memory.string(BigInt(memory.u32(plan.entry.registers!.rbx! + 16n)));
  };
  assertEquals(commandLine("dir/kernel", { commandLine: "a b" }), "dir/kernel a b");
  assertEquals(commandLine("kernel", {}), "kernel");
  assertEquals(commandLine("", { commandLine: "a b" }), "a b");
});

Deno.test("an image over the firmware's reserved memory boots, one over its tables with a warning", () => {
  const ram = ramLayout(4 << 20);
  const options = { ram, ...firmwareOptions(ram, 1) };
  const at = (p_paddr: bigint) =>
    planBoot(elf({ segments: [{ bytes: HALT, p_paddr }] }), "", "elf", options).warnings;
  assertEquals(at(0xf_f000n), []);
  assertEquals(at(0xf_0000n), [
    "ELF program header 0: segment overwrites the firmware's RSDP at 0xf0000",
  ]);
});
