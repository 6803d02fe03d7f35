/**
 * Boot protocols on the command line: a kernel gets what was requested,
 * and inspect shows the same.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { gzipSync } from "node:zlib";
import { concat } from "../../src/bytes.ts";
import { imageFile } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { packedImage } from "../lib/linux.ts";
import { execute, image, lastLine, type Result, TempDir, vmexit } from "../lib/vmexit.ts";

const LINUX = image("linux-info.bzimage");

/** Runs a guest without its trace; it must end well. @returns the lines that it printed */
async function printed(...args: string[]): Promise<string[]> {
  const result = await vmexit("run", "-q", ...args);
  assertEquals(result.code, 0, result.stderr);
  return result.stdout.split("\n");
}

function fails({ code, stdout, lines }: Result, message: string): void {
  assertEquals([code, stdout, lines.length], [4, "", 1]);
  assertStringIncludes(lines[0]!, message);
}

kvmTest(
  "a bzImage gets command line, initrd and seed by its 32-bit and its 64-bit entry",
  async () => {
    using folder = new TempDir();
    const initrd = folder.file("initrd", "from the initrd\nmore");
    for (const bits of ["32", "64"]) {
      const options = [
        "--boot",
        `linux:${bits}`,
        "-m",
        "16M",
        "-a",
        "console=ttyS0 quiet",
        "-i",
        initrd,
      ];
      const lines = await printed(...options, LINUX);
      assertEquals(lines.slice(0, 3), [
        `entry=${bits}`,
        "loader=ff",
        "cmdline=console=ttyS0 quiet",
      ]);
      const map = lines.filter((line) => line.startsWith("e820 "));
      assertEquals(map[0], "e820 base=0000000000000000 length=000000000009fc00 type=1");
      assert(lines.includes("setup_data type=00000009 length=00000020"), lines.join("\n"));
      assertMatch(
        lines.at(-2)!,
        /^initrd start=00ff[0-9a-f]{4} size=00000014 content=from the initrd$/,
      );
    }
  },
);

kvmTest("a bzImage is entered by its real-mode code, which finds a BIOS", async () => {
  using folder = new TempDir();
  const initrd = folder.file("initrd", "12345");
  const lines = await printed("--boot", "linux:16", "-m", "16M", "-a", "real", "-i", initrd, LINUX);
  assertEquals(lines, [
    "entry=16",
    "cs=1020 ds=1000 sp=e000",
    "cmdline=real",
    "low=027f",
    "e820=0004",
    "initrd start=00fff000 size=00000005",
    "bios=ok",
    "",
  ]);
});

kvmTest("the entry of a bzImage is chosen by its header", async () => {
  assertEquals((await printed(LINUX))[0], "entry=64");
  assertEquals((await printed("--boot", "linux", LINUX))[0], "entry=64");
});

/** How a kernel's build packs it. All but gzip write no size behind; the build does. */
const PACKERS = [
  ["gzip", "-9"],
  ["xz", "--check=crc32", "--x86", "--lzma2"],
  ["zstd", "-22", "--ultra"],
  ["lz4", "-l", "-9"],
] as const;

for (const [packer, ...options] of PACKERS) {
  const isThere = ["/usr/bin", "/bin"].some((folder) => existsSync(`${folder}/${packer}`));
  const test = isThere ? kvmTest : Deno.test.ignore;
  test(`a kernel packed by ${packer} is unpacked on the host (needs ${packer})`, async () => {
    using folder = new TempDir();
    const { bytes } = await execute(packer, [...options, "-c", image("vmlinux.elf")]);
    const size = new Uint32Array([imageFile("vmlinux.elf").length]);
    const payload = packer === "gzip" ? bytes : [...bytes, ...new Uint8Array(size.buffer)];
    const packed = folder.file("bzImage", packedImage(new Uint8Array(payload)));
    // It is entered with the bzImage's header.
    const lines = await printed("--decompress", "-a", "unpacked", packed);
    assertEquals(lines.slice(0, 3), ["entry=64", "loader=ff", "cmdline=unpacked"]);
  });
}

Deno.test("--decompress needs a packed kernel", async () => {
  fails(
    await vmexit("inspect", "--decompress", LINUX),
    "payload_length 0x0: there is no packed kernel",
  );
  fails(await vmexit("inspect", "--decompress", image("hello.elf")), "not a Linux kernel");
});

kvmTest("a PVH kernel gets command line, modules and memory map", async () => {
  using folder = new TempDir();
  const [first, second] = [folder.file("first", "one\n"), folder.file("second", "two\n")];
  const lines = await printed("-a", "hello", "-i", first, "-i", second, image("pvh-info.pvh"));
  assertEquals(lines.slice(0, 3), ["magic=336ec578", "version=00000001", "cmdline=hello"]);
  assertEquals(lines.slice(-5), [
    `module start=0000000000101000 size=0000000000000004 string=${first}`,
    "content=one",
    `module start=0000000000102000 size=0000000000000004 string=${second}`,
    "content=two",
    "",
  ]);
});

kvmTest("a Multiboot 2 kernel gets command line, modules, memory map and sections", async () => {
  using folder = new TempDir();
  const module = folder.file("module", "content\n");
  for (const protocol of ["multiboot", "multiboot2"]) {
    const options = ["--boot", protocol, "-a", "hello", "-i", module];
    const lines = await printed(...options, image("mb2-info.mb2"));
    assertEquals(lines.slice(0, 5), [
      "magic=36d76289",
      "cmdline=hello",
      "loader=vmexit",
      `module start=00101000 end=00101008 string=${module}`,
      "content=content",
    ]);
    assert(lines.includes("sections=00000003 names=.shstrtab"), lines.join("\n"));
  }
});

Deno.test("a kernel that was not built for a protocol is refused by it", async () => {
  const refused: [protocol: string, name: string, message: string][] = [
    ["linux", "hello.bin16", 'no "HdrS" at 0x202: not a Linux kernel'],
    ["linux:32", "vmlinux.elf", "an ELF64 kernel has only a 64-bit entry: --boot linux:64"],
    ["pvh", "hello.elf", "no note Xen 18 (PHYS32_ENTRY): it has no PVH entry"],
    ["multiboot2", "hello.mb", "no Multiboot 2 header (0xe85250d6)"],
    ["multiboot", "hello.elf", "no Multiboot header (0x1badb002)"],
  ];
  for (const [protocol, name, message] of refused) {
    fails(await vmexit("inspect", "--boot", protocol, image(name)), message);
  }
});

Deno.test("a command line that is too long for a bzImage is refused with its limit", async () => {
  fails(
    await vmexit("inspect", "-a", "x".repeat(256), LINUX),
    "the command line has 256 bytes; at most 255 fit; see --append",
  );
});

Deno.test("inspect explains a bzImage field by field", async () => {
  const { stdout, code } = await vmexit("inspect", LINUX);
  assertEquals(code, 0);
  for (
    const line of [
      /^format +Linux bzImage, protocol 2\.15, 64-bit entry$/m,
      /^boot +--boot linux:64$/m,
      /^ {2}version +0x20f 2\.15 +boot protocol version$/m,
      /^ {2}loadflags +0x1 LOADED_HIGH +how to load the kernel$/m,
      /^ {2}cmdline_size +0xff +the longest command line, without its end$/m,
      /^ {2}boot_params +0x[0-9a-f]+ +handed over in RSI$/m,
      /^ {2}e820\[0\] +base=0x0 size=0x9fc00 type=1$/m,
      /^ {2}rip +0x100200$/m,
    ]
  ) assertMatch(stdout, line);
});

Deno.test("inspect explains PVH and Multiboot 2 kernels, in JSON too", async () => {
  const report = async (name: string) =>
    JSON.parse((await vmexit("inspect", "--format", "json", image(name))).stdout);
  const pvh = await report("pvh-info.pvh");
  assertEquals([pvh.boot, pvh.entry.mode], ["pvh", "protected"]);
  assertMatch(pvh.fields.pvh_entry, /^0x1000[0-9a-f]+$/);
  assertEquals(pvh.fields.memory_map[0], { base: "0x0", size: "0x9fc00", type: 1 });
  const mb2 = await report("mb2-info.mb2");
  assertEquals(mb2.boot, "multiboot2");
  assertEquals(mb2.fields.header_tags[0].name, "information request");
  assertEquals(mb2.fields.framebuffer, "none");
  assertEquals(mb2.warnings.length, 1);
  const mb1 = await report("mb-info.mb");
  assertEquals([mb1.fields.header_flags, mb1.fields.drives], ["0x2 WANT_MEMORY", "none"]);
});

kvmTest("a breakpoint at a real-mode entry is hit at its linear address", async () => {
  const result = await vmexit("run", "--boot", "linux:16", "--break", "0x10200", LINUX);
  assertMatch(result.lines[0]!, /DEBUG .* pc=0x10200 .*\(B0 breakpoint 0\) .* rip=0x0$/);
  assertEquals(result.code, 0, lastLine(result));
});

kvmTest("a compressed kernel is decompressed, and its name counts without .gz", async () => {
  using folder = new TempDir();
  for (const name of ["hello.mb", "hello.bin32", "hello.elf"]) {
    const path = folder.file(`${name}.gz`, gzipSync(imageFile(name)));
    assertEquals(await printed(path), await printed(image(name)));
    assertStringIncludes((await vmexit("inspect", path)).stdout, "\n  compression           gzip ");
  }
});

Deno.test("a file that decompresses far beyond the guest's RAM is refused, and soon", async () => {
  using folder = new TempDir();
  // Members of a gzip file make one stream: 4 GiB of zeros.
  const member = gzipSync(new Uint8Array(2 ** 26));
  const zeros = folder.file("zeros.bin32.gz", concat(Array(64).fill(member)));
  const start = performance.now();
  const result = await vmexit("run", "-q", zeros);
  fails(
    result,
    "compressed file (gzip): unpacked it has more than 0x8000000 bytes; give the guest",
  );
  assert(performance.now() - start < 10_000);
});

kvmTest("a Multiboot module has its name and its arguments", async () => {
  using folder = new TempDir();
  const file = folder.file("data", "x");
  const odd = folder.file("a,b", "y");
  const lines = await printed("-i", `${file},one=1 two`, "-i", odd, image("mb-info.mb"));
  const strings = lines.filter((line) => line.startsWith("module ")).map((line) =>
    line.replace(/^.* string=/, "")
  );
  assertEquals(strings, [`${file} one=1 two`, odd]);
  const missing = await vmexit("run", "-q", "-i", `${folder.path}/none,arg`, image("mb-info.mb"));
  fails(missing, `${folder.path}/none does not exist`);
  const linux = await vmexit("run", "-q", "-i", `${file},arg`, LINUX);
  assertStringIncludes(linux.stderr, "an argument behind --initrd FILE has no meaning for linux");
});

kvmTest("--debug-exit moves the port, to where no other device is", async () => {
  using folder = new TempDir();
  // mov dx, 0x501; mov al, 0x21; out dx, al; hlt
  const guest = folder.file("exit.bin16", new Uint8Array([0xba, 1, 5, 0xb0, 0x21, 0xee, 0xf4]));
  for (const machine of ["bare", "pc"]) {
    const { code } = await vmexit(
      "run",
      "-q",
      "--machine",
      machine,
      "--debug-exit",
      "0x501",
      guest,
    );
    assertEquals(code, 67);
  }
  for (const [port, message] of [["0x3f8", "uart0 both claim port 0x3f8"], ["x", "not a port"]]) {
    const { code, stderr } = await vmexit("run", "-q", "--debug-exit", port!, guest);
    assertEquals(code, 2);
    assertStringIncludes(stderr, message!);
  }
});

kvmTest("a boot sector prints by INT 10h, on either machine", async () => {
  using folder = new TempDir();
  // mov ah, 0x0e; mov al, 'H'; int 0x10; mov al, 'i'; int 0x10; cli; hlt
  const code = [0xb4, 0x0e, 0xb0, 0x48, 0xcd, 0x10, 0xb0, 0x69, 0xcd, 0x10, 0xfa, 0xf4];
  const guest = folder.file("hi.bin16", new Uint8Array(code));
  for (const machine of ["bare", "pc"]) {
    assertEquals(await printed("--machine", machine, guest), ["Hi"]);
  }
});
