import { assertEquals, assertThrows } from "@std/assert";
import { SystemError } from "../../ffi/libc.ts";
import { TestFileError } from "../../src/testing/position.ts";
import { readUnitTests } from "../../src/testing/unittests_cfg.ts";
import type { TestCase } from "../../src/testing/test_case.ts";
import { DIALECT } from "../lib/testing.ts";
import { TempDir } from "../lib/vmexit.ts";

const FILES = {
  read(path: string): string {
    if (path === "/sys/yes") return "Y\n";
    throw new SystemError(`open(${path})`, 2);
  },
  exists: () => false,
};

function read(dir: TempDir, text: string, tags: readonly string[] = []): TestCase[] {
  dir.file("a.flat");
  return readUnitTests(`${dir.path}/unittests.cfg`, text, {
    dialect: DIALECT,
    files: FILES,
    tags,
    now: 1234,
  });
}

Deno.test("a section becomes a test with its image, arguments, limits and groups", () => {
  using dir = new TempDir();
  const [test] = read(
    dir,
    `# a comment
[one]
file = a.flat
smp = 2
test_args = "x y" -z 'q r'
qemu_params = -cpu max -m 2048
timeout = 30
groups = vmexit slow
arch = x86_64
accel = kvm
check = /sys/yes=Y
`,
  );
  assertEquals([test!.name, test!.line, test!.folder, test!.image], ["one", 2, dir.path, "a.flat"]);
  assertEquals(test!.options, ["--memory=2048M", "--cpus=2", "--append=x y -z q r"]);
  assertEquals([test!.timeoutMs, test!.tags, test!.skip], [30_000, ["vmexit", "slow"], undefined]);
  assertEquals([test!.judge.by, test!.untranslated], ["kvm-unit-tests", []]);
});

Deno.test("untranslated parameters are listed, not dropped", () => {
  using dir = new TempDir();
  const [test] = read(
    dir,
    `[one]
file = a.flat
smp = $MAX
extra_params = -append "old style \`date +%s\`" -device edu \`hostname\`
disabled_if = true
colour = red
timeout = soon
`,
  );
  assertEquals(test!.options, ["--append=old style 1234"]);
  assertEquals(test!.timeoutMs, 90_000);
  assertEquals(
    test!.untranslated.toSorted(),
    [
      "-device edu",
      "`hostname`",
      "`hostname`",
      "colour = red",
      "disabled_if = true",
      "smp = $MAX",
      "timeout = soon",
    ],
  );
});

Deno.test("parameters may span several lines", () => {
  using dir = new TempDir();
  const [test] = read(dir, '[one]\nfile = a.flat\nextra_params = """-m 64 \\\n-smp 2"""\n');
  assertEquals(test!.options, ["--memory=64M", "--cpus=2"]);
});

Deno.test("a comment may follow anything, and # within a word or quotes is none", () => {
  using dir = new TempDir();
  const [test] = read(
    dir,
    `[one] # the first
file = a.flat # its image
smp = 2\t# two
test_args = "a # b" c#d 'e #f' # the rest
extra_params = """-m 64 \\
-cpu max""" # and more
accel = kvm # only
`,
  );
  assertEquals([test!.name, test!.image, test!.skip], ["one", "a.flat", undefined]);
  assertEquals(test!.options, ["--memory=64M", "--cpus=2", "--append=a # b c#d e #f"]);
  assertEquals(test!.untranslated, []);
});

Deno.test("tests that cannot run here are skipped with the reason", () => {
  using dir = new TempDir();
  const reason = (lines: string, tags?: string[]) => read(dir, `[one]\n${lines}`, tags)[0]!.skip;
  assertEquals(reason("file = a.flat\narch = i386"), "i386 only");
  assertEquals(reason("file = a.flat\naccel = tcg"), "accel tcg only");
  assertEquals(reason("file = a.flat\naccel = tcg|hvf"), "accel tcg|hvf only");
  assertEquals(reason("file = a.flat\naccel = kv"), "accel kv only", "the whole name counts");
  assertEquals(reason("file = a.flat\naccel = ("), "accel ( only", "no regular expression");
  for (const accel of ["kvm", "kvm|tcg", "tcg|kvm", "k.m", ".*"]) {
    assertEquals(reason(`file = a.flat\naccel = ${accel}`), undefined, accel);
  }
  assertEquals(reason("file = b.flat"), "b.flat does not exist");
  assertEquals(reason("file = a.flat\ncheck = /sys/yes=N"), "/sys/yes is not N");
  assertEquals(reason("file = a.flat\ncheck = /sys/yes=Y /sys/no=Y"), "/sys/no is not Y");
  const manual = "file = a.flat\ngroups = vmx nodefault";
  assertEquals(reason(manual), "marked nodefault: runs only when asked for by the tag vmx");
  assertEquals(reason(manual, ["vmx"]), undefined);
});

Deno.test("an invalid list is an error with its place", () => {
  using dir = new TempDir();
  for (
    const [text, message] of [
      ["file = a.flat\n", "unittests.cfg:1:1: a [name] has to come first"],
      ["[one]\nfile = a\n  what?\n", "unittests.cfg:3:3: this is neither a [name]"],
      ["[one]\nsmp = 1\n", "unittests.cfg:1:1: [one] names no file"],
      ['[one]\nfile = a\nextra_params = """x\n', 'unittests.cfg:3:1: the """ is not closed'],
      ["# nothing\n", "unittests.cfg:1:1: it has no tests"],
    ] as const
  ) {
    assertThrows(() => read(dir, text), TestFileError, message);
  }
});
