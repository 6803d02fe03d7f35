/**
 * Options of `run` for the machine and the boot.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { readTrace } from "../lib/trace_schema.ts";
import { bash, image, lastLine, TempDir, vmexit } from "../lib/vmexit.ts";

for (
  const [size, name, output] of [
    ["64K", "hello.bin16", "Hello from flat16!\n"],
    ["0x10000", "hello.bin16", "Hello from flat16!\n"],
    ["8G", "hello.elf", "Hello, KVM!\n"],
    ["5G", "highmem.bin64", "highmem ok\n"],
    ["5GiB", "highmem.bin64", "highmem ok\n"],
  ] as const
) {
  kvmTest(`-m ${size} is enough for ${name}`, async () => {
    const result = await vmexit("run", "-q", "-m", size, image(name));
    assertEquals([result.code, result.stdout], [0, output]);
  });
}

for (
  const [size, exitCode, message] of [
    [
      "4K",
      4,
      /: image at \[0x7c00, \+0x29\) is not within guest RAM \(0x0\.\.0x1000\); .*--memory/,
    ],
    ["0", 2, /^vmexit: --memory: a guest needs at least 4K$/],
    ["5000", 2, /^vmexit: --memory: 0x1388 bytes is not a whole number of pages of 0x1000$/],
    ["64", 2, /^vmexit: --memory: 0x40 bytes is not a whole .* 0x1000; for MiB write 64M$/],
    ["100T", 2, /^vmexit: --memory: 0x640000000000 bytes is more than a guest can have/],
    ["99999999T", 2, /^vmexit: --memory: "99999999T" is not a size; write it as 512K, 128M or 5G$/],
    ["much", 2, /^vmexit: --memory: "much" is not a size/],
    ["-1", 2, /^vmexit: --memory: "-1" is not a size/],
  ] as const
) {
  kvmTest(`-m ${size} is refused in one line with exit code ${exitCode}`, async () => {
    const result = await vmexit("run", "-m", size, image("hello.bin16"));
    assertEquals([result.code, result.stdout, result.lines.length], [exitCode, "", 1]);
    assertMatch(result.lines[0]!, message);
  });
}

kvmTest("a Multiboot kernel gets --append as it was given, and each --initrd", async () => {
  using dir = new TempDir();
  const first = dir.file("first", "one\nmore\n");
  const second = dir.file("second", "two\n");
  const commandLine = 'console=ttyS0  "a b" -x=y';
  const { code, stdout } = await vmexit(
    ...["run", "-q", "--append", commandLine, "-i", first, `--initrd=${second}`],
    image("mb-info.mb"),
  );
  assertEquals(code, 0);
  assertStringIncludes(stdout, `\ncmdline=${image("mb-info.mb")} ${commandLine}\n`);
  const modules = [...stdout.matchAll(/^module .* string=(.*)\ncontent=(.*)$/gm)];
  assertEquals(modules.map((m) => m.slice(1)), [[first, "one"], [second, "two"]]);
});

for (
  const [args, commandLine] of [
    [["--append", ""], ""],
    [["--append="], ""],
    [["-a", "-x"], "-x"],
    [["--append", "--help"], "--help"],
    [["-qa--"], "--"],
    [["--append", "ä€"], "ä€"],
    [["--append=a=b"], "a=b"],
    [["--append", "a\nb"], "a"], // the guest prints up to the line's end
  ] as const
) {
  kvmTest(
    `${JSON.stringify(args)} is the command line ${JSON.stringify(commandLine)}`,
    async () => {
      const { code, stdout } = await vmexit("run", "-q", ...args, image("mb-info.mb"));
      assertEquals(code, 0);
      const whole = `${image("mb-info.mb")} ${commandLine}`.trimEnd();
      assertStringIncludes(stdout, `\ncmdline=${whole}\n`);
    },
  );
}

kvmTest("options that an image has no use for are warned of", async () => {
  const { code, lines } = await vmexit("run", "-q", "-a", "x", "--entry", "1", image("hello.elf"));
  assertEquals(code, 0);
  assertEquals(lines.slice(0, -1), [
    "vmexit: warning: --append has no meaning for elf images",
    "vmexit: warning: --entry has no meaning for elf images",
  ]);
});

kvmTest("--load-address and --entry say where a flat image goes and begins", async () => {
  using dir = new TempDir();
  // hlt; nop; nop; hlt
  const path = dir.file("flat", code("f4 90 90 f4"));
  for (
    const [options, rip] of [
      [["--boot", "flat16"], 0x7c00],
      [["--boot", "flat16", "--load-address", "0x1000"], 0x1000],
      [["--boot", "flat16", "--load-address=4096", "--entry=0x1001"], 0x1003],
      [["--boot", "flat32"], 0x10_0000],
      [["--boot", "flat64", "--load-address", "0x200000", "--entry", "0x200003"], 0x20_0003],
    ] as const
  ) {
    const { lines } = await vmexit("run", "--format", "json", ...options, path);
    const { reason, rip: at } = readTrace(lines).find(({ type }) => type === "exit")!;
    assertEquals(reason, "HLT");
    // KVM leaves RIP at the HLT or behind it.
    assert([0, 1].includes(Number(at) - rip), `${at} for ${options.join(" ")}`);
  }
});

kvmTest("an entry that the mode cannot reach is exit code 4", async () => {
  const { code, stderr } = await vmexit("run", "--entry", "0x10000", image("hlt.bin16"));
  assertEquals(code, 4);
  assertStringIncludes(stderr, "entry 0x10000 is out of reach of 16-bit real mode");
});

kvmTest("an image can come from a pipe or from standard input", async () => {
  const pipe = await bash('vmexit run -q <(cat "$1")', image("hello.elf"));
  assertEquals([pipe.code, pipe.stdout], [0, "Hello, KVM!\n"]);
  const stdin = await bash(
    'vmexit run -q --boot flat64 /dev/stdin <"$1"; cat "$1" | vmexit run -q --boot flat64 /dev/stdin',
    image("hello.bin64"),
  );
  assertEquals([stdin.code, stdin.stdout], [0, "Hello from flat64!\n".repeat(2)]);
});

kvmTest("--boot overrides what the name says", async () => {
  using dir = new TempDir();
  const path = dir.file("hello.bin16", Deno.readFileSync(image("hello.bin64")));
  assertEquals((await vmexit("run", "-q", "--boot=flat64", path)).stdout, "Hello from flat64!\n");
});

kvmTest("a boot sector is known by its signature", async () => {
  using dir = new TempDir();
  const sector = new Uint8Array(512);
  sector.set(Deno.readFileSync(image("hello.bin16")));
  sector.set([0x55, 0xaa], 510);
  const result = await vmexit("run", "-q", dir.file("sector", sector));
  assertEquals([result.code, result.stdout], [0, "Hello from flat16!\n"]);
});

kvmTest("guest output is passed on byte by byte, whatever the bytes", async () => {
  using dir = new TempDir();
  // mov dx, 0x3f8; xor al, al; next: out dx, al; inc al; jnz next; hlt
  const path = dir.file("bytes.bin16", code("ba f8 03  30 c0  ee  fe c0  75 fb  f4"));
  const { bytes } = await vmexit("run", path);
  assertEquals(bytes, Uint8Array.from({ length: 256 }, (_, i) => i));
});

kvmTest("--unclaimed stop ends the run at the first access, with exit code 28", async () => {
  const port = await vmexit("run", "--unclaimed", "stop", image("unclaimed.bin64"));
  assertEquals([port.code, port.stdout], [28, ""]);
  assertMatch(lastLine(port), /^vmexit: unhandled exit: IO out port=0x1234 .* code 28$/);
  const args = ["run", "--unclaimed=stop", "--format=json", image("mmio.bin64")];
  const mmio = await vmexit(...args);
  const outcome = readTrace(mmio.lines).at(-1)!;
  assertEquals([outcome.exit_code, outcome.kind, outcome.reason], [28, "unhandled", "MMIO"]);
  assertEquals(outcome.mmio.gpa, "0xd0000000");
});

kvmTest("--single-step shows each instruction's end as a debug exit", async () => {
  const args = ["run", "--single-step", "--trace", "debug", "--format", "json"];
  const { code, lines, stdout } = await vmexit(...args, image("hello.bin64"));
  assertEquals([code, stdout], [0, "Hello from flat64!\n"]);
  const steps = readTrace(lines).filter(({ reason, type }) =>
    type === "exit" && reason === "DEBUG"
  );
  // Five instructions a character, in a loop.
  assert(steps.length > 19 * 3, `${steps.length} steps`);
  for (const { debug, rip } of steps) {
    assertEquals(debug.vector, 1);
    assertEquals(debug.pc, rip);
  }
});

kvmTest("--break shows a debug exit each time in front of an instruction", async () => {
  const args = ["run", "--break", "0x10000f", "--format", "json", image("hello.bin64")];
  const { code, lines, stdout } = await vmexit(...args);
  assertEquals([code, stdout], [0, "Hello from flat64!\n"]);
  const hits = readTrace(lines).filter(({ debug }) => debug?.pc === "0x10000f");
  assert(hits.length >= 18, `${hits.length} hits`);
});

kvmTest("more than four breakpoints are refused", async () => {
  const breaks = ["1", "2", "3", "4", "5"].map((address) => `--break=${address}`);
  const { code, lines } = await vmexit("run", ...breaks, image("hello.bin64"));
  assertEquals(code, 2);
  assertEquals(lines, ["vmexit: --break: x86 has four breakpoints, not 5"]);
});
