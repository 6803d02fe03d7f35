import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { detectProtocol, planBoot } from "../../src/boot/detect.ts";
import { ImageError } from "../../src/boot/image.ts";
import { BOOT_PROTOCOLS } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { elf, HALT, imageFile, multiboot, multibootHeader, note } from "../lib/images.ts";
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
