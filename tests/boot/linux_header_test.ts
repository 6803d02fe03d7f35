import { assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../src/boot/image.ts";
import {
  headerBytes,
  headerFacts,
  isLinux,
  parseLinuxHeader,
  versionText,
  writeHeader,
} from "../../src/boot/linux_header.ts";
import { imageFile, refusalOf } from "../lib/images.ts";
import { bzImage, type SetupHeader } from "../lib/linux.ts";

function refusal(fields: SetupHeader, kernel?: Uint8Array): string {
  return refusalOf(() => parseLinuxHeader(bzImage(fields, kernel)));
}

Deno.test("the header's fields are read, and the file is split behind the real-mode code", () => {
  const image = bzImage({ setup_sects: 1, initrd_addr_max: 0x1234_5678, init_size: 0x9999 });
  const header = parseLinuxHeader(image);
  assertEquals(header.setup, image.subarray(0, 1024));
  assertEquals(header.kernel, image.subarray(1024));
  assertEquals([header.version, header.loadedHigh, header.relocatable], [0x20f, true, false]);
  assertEquals([header.initrdAddrMax, header.initSize], [0x1234_5678, 0x9999]);
});

Deno.test("a Linux kernel is recognized by HdrS at 0x202 alone", () => {
  assertEquals(isLinux(bzImage()), true);
  assertEquals(isLinux(bzImage({ header: 0x5372_6449 })), false);
  assertEquals(isLinux(bzImage().subarray(0, 0x207)), false);
  assertEquals(
    refusal({ header: 0 }),
    'Linux setup header: no "HdrS" at 0x202: not a Linux kernel',
  );
});

Deno.test("protocols 2.00 to 2.15 and later ones of major version 2 are read, others refused", () => {
  for (const version of [0x200, 0x201, 0x202, 0x206, 0x20a, 0x20e, 0x20f, 0x2ff]) {
    assertEquals(parseLinuxHeader(bzImage({ version })).version, version);
  }
  for (const version of [0, 0x1ff, 0x300, 0xffff]) {
    assertEquals(
      refusal({ version }),
      `Linux setup header: version 0x${version.toString(16)} is not one of the boot protocols ` +
        "2.00 to 2.15",
    );
  }
  assertEquals(versionText(0x20f), "2.15");
});

Deno.test("a field that the version lacks has its default, whatever its bytes are", () => {
  const fields: SetupHeader = {
    initrd_addr_max: 1,
    kernel_alignment: 3,
    relocatable_kernel: 1,
    xloadflags: 1,
    cmdline_size: 7,
    payload_length: 0xffff_ffff,
    pref_address: 5n,
    init_size: 6,
    kernel_info_offset: 0xffff_ffff,
  };
  const old = parseLinuxHeader(bzImage({ ...fields, version: 0x202 }));
  assertEquals(
    [old.initrdAddrMax, old.cmdlineSize, old.relocatable, old.xloadflags, old.payload],
    [0x37ff_ffff, 255, false, 0, undefined],
  );
  assertEquals([old.prefAddress, old.initSize, old.setupTypeMax], [0n, 0, 0]);
  assertEquals(parseLinuxHeader(bzImage({ version: 0x203, initrd_addr_max: 1 })).initrdAddrMax, 1);
  assertEquals(parseLinuxHeader(bzImage({ version: 0x206, cmdline_size: 7 })).cmdlineSize, 7);
});

Deno.test("setup_sects 0 means 4", () => {
  const header = parseLinuxHeader(bzImage({ setup_sects: 0, syssize: 0xa0 }, new Uint8Array(4096)));
  assertEquals(header.setup.length, 5 * 512);
});

Deno.test("impossible fields are refused by name and value", () => {
  const refused: [SetupHeader, string][] = [
    [{ boot_flag: 0xaa54 }, "boot_flag 0xaa54 is not 0xaa55"],
    [{ setup_sects: 64 }, "setup_sects 0x40 is more than 32 KiB of real-mode code"],
    [
      { setup_sects: 63 },
      "setup_sects needs bytes 0x0 to 0x8000, but the file ends at 0x800; it is truncated or damaged",
    ],
    [
      { setup_sects: 3 },
      "setup_sects 0x3 leaves no protected-mode code: the file ends at 0x800; " +
      "it is truncated or damaged",
    ],
    [
      { syssize: 0x42 },
      "syssize says 0x420 bytes of protected-mode code, but the file has 0x400; " +
      "it is truncated or damaged",
    ],
    [
      { relocatable_kernel: 1, kernel_alignment: 0x3000 },
      "kernel_alignment 0x3000 is not a power of two",
    ],
    [
      { relocatable_kernel: 1, kernel_alignment: 0 },
      "kernel_alignment 0x0 is not a power of two",
    ],
    [
      { payload_offset: 0x10, payload_length: 0x400 },
      "payload_offset + payload_length needs bytes 0x10 to 0x410, but the file ends at 0x400; " +
      "it is truncated or damaged",
    ],
  ];
  for (const [fields, message] of refused) {
    assertEquals(refusal(fields), `Linux setup header: ${message}`);
  }
});

Deno.test("syssize may be rounded up to the next 16 bytes, and the file longer", () => {
  parseLinuxHeader(bzImage({ syssize: 0x40 }, new Uint8Array(0x3f1)));
  parseLinuxHeader(bzImage({ syssize: 0x30 }));
  assertThrows(() => parseLinuxHeader(bzImage({ syssize: 0x40 }, new Uint8Array(0x3f0))));
});

Deno.test("before protocol 2.04 syssize is ignored", () => {
  parseLinuxHeader(bzImage({ version: 0x203, syssize: 0xffff_ffff }));
});

Deno.test("kernel_info says which setup_data the kernel knows; without its signature it is none", () => {
  const kernel = new Uint8Array(0x400);
  const view = new DataView(kernel.buffer);
  const info = (...words: number[]) =>
    words.forEach((w, i) => view.setUint32(0x80 + i * 4, w, true));
  const knows = () => parseLinuxHeader(bzImage({ kernel_info_offset: 0x80 }, kernel)).setupTypeMax;
  info(0x506f_544c, 16, 16, 0x8000_0009);
  assertEquals(knows(), 9);
  info(0x506f_544c, 12, 12, 9);
  assertEquals(knows(), 0, "too small to have the field");
  info(0x506f_544d, 16, 16, 9);
  assertEquals(knows(), 0);
  assertEquals(
    refusal({ kernel_info_offset: 0x3fd }),
    "Linux kernel_info: header needs bytes 0x3fd to 0x401, but the file ends at 0x400; " +
      "it is truncated or damaged",
  );
});

Deno.test("the header that a kernel gets is as long as its jump says, within what its version needs", () => {
  assertEquals(headerBytes(parseLinuxHeader(bzImage())).length, 0x26c - 0x1f1);
  const longest = headerBytes(parseLinuxHeader(bzImage({ jump: 0x8eeb })));
  assertEquals(longest.length, 0x290 - 0x1f1);
  for (const jump of [0x69eb, 0x8feb, 0x6ae9]) {
    assertThrows(
      () => headerBytes(parseLinuxHeader(bzImage({ jump }))),
      ImageError,
      `jump 0x${jump.toString(16)} says that the header ends at`,
    );
  }
  headerBytes(parseLinuxHeader(bzImage({ version: 0x207, jump: 0x46eb })));
});

Deno.test("fields are written where they are read, except those that the version lacks", () => {
  const bytes = new Uint8Array(4096);
  const values = { type_of_loader: 0xff, cmd_line_ptr: 0x1234_5678, setup_data: 0x9n, vid_mode: 3 };
  writeHeader(bytes, 0x201, values);
  const view = new DataView(bytes.buffer);
  assertEquals([view.getUint8(0x210), view.getUint16(0x1fa, true)], [0xff, 3]);
  assertEquals([view.getUint32(0x228, true), view.getBigUint64(0x250, true)], [0, 0n]);
  writeHeader(bytes, 0x20f, values);
  assertEquals([view.getUint32(0x228, true), view.getBigUint64(0x250, true)], [0x1234_5678, 9n]);
});

Deno.test("inspect gets every field of the version, flags by name, the release and a meaning", () => {
  const facts = headerFacts(parseLinuxHeader(imageFile("linux-info.bzimage")));
  const values = Object.fromEntries(facts.map(([name, value]) => [name, value]));
  assertEquals(values.version, "0x20f 2.15");
  assertEquals(values.loadflags, "0x1 LOADED_HIGH");
  assertEquals(values.xloadflags, "0x1 XLF_KERNEL_64");
  assertEquals(values.release, "linux-info (of the vmexit guest images)");
  assertEquals(values.setup_type_max, "0x9");
  for (const [name, , meaning] of facts) assertEquals(typeof meaning, "string", name);
  const old = headerFacts(parseLinuxHeader(bzImage({ version: 0x200 })));
  assertEquals(old.some(([name]) => name === "cmd_line_ptr" || name === "init_size"), false);
});

Deno.test("a missing or unprintable version text is not shown", () => {
  for (const kernel_version of [0, 0x200, 0xffff]) {
    const facts = headerFacts(parseLinuxHeader(bzImage({ kernel_version })));
    assertEquals(facts.some(([name]) => name === "release"), false);
  }
});

Deno.test("a file that is cut short anywhere is refused", () => {
  const image = bzImage();
  for (let length = 0; length < image.length - 15; length++) {
    assertThrows(() => parseLinuxHeader(image.subarray(0, length)), ImageError);
  }
});
