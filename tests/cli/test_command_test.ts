/**
 * `vmexit test` as its users run it: selection, reports, exit codes, what is kept
 * of failures.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { close } from "../../ffi/libc.ts";
import { openPty, tryRead } from "../../ffi/streams.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { bash, image, linesOf, PROJECT, TempDir, VMEXIT, vmexit } from "../lib/vmexit.ts";

/** `mov dx, 0xe9; xor si, si; mov cx, 0x1000; rep outsb; jmp back` */
const WRITE_FOR_EVER = "ba e9 00  31 f6  b9 00 10  f3 6e  eb f7";

const THREE = `
[[test]]
name = "good"
image = "${image("hello.elf")}"
stdout = "Hello, KVM!\\n"
tags = ["quick"]

[[test]]
name = "bad"
image = "${image("exit.bin64")}"
exit = 3

[[test]]
name = "skipped"
image = "${image("hello.elf")}"
skip_if = "kvm"
`;

/** The records of `--format json`, and the exit code. */
async function json(...args: string[]) {
  const result = await vmexit("test", "--format", "json", ...args);
  const records = linesOf(result.stdout).map((line) => JSON.parse(line));
  return { ...result, records, summary: records.at(-1) };
}

kvmTest("a suite in which a test fails is exit code 1, and the failure says all", async () => {
  using dir = new TempDir();
  const path = dir.file("three.toml", THREE);
  const { code, stdout, stderr } = await vmexit("test", "--artefacts", `${dir.path}/kept`, path);
  assertEquals([code, stderr], [1, ""]);
  const command = `(cd ${dir.path} && ${VMEXIT} run --timeout=60000ms -- ` +
    `${image("exit.bin64")})`;
  assertEquals(
    stdout.replace(/ in [\d.]+ s\n$/, "\n").replace(/\+[\d.]+ms/, "+N").replace(/rip=\w+/, "rip=N"),
    `FAIL bad (${path}:8)
  exit
    expected  3
    actual    67 (debug_exit: guest wrote 0x21 to the debug-exit port)
  the last exits, of a run with the trace on
    #1 +N cpu0 IO out port=0xf4 (debug-exit) size=1 count=1 data=0x21 '!' rip=N -> debug-exit
  repeat    ${command}
  artefacts ${dir.path}/kept/bad
SKIP skipped: skip_if kvm: this host has it
1 passed, 1 failed, 1 skipped
`,
  );
  const kept = [...Deno.readDirSync(`${dir.path}/kept/bad`)].map(({ name }) => name).sort();
  assertEquals(kept, ["command", "failures", "stderr", "stdout", "trace"]);
  // The command is one, and does the same.
  assertEquals((await bash(command)).code, 67);
});

kvmTest("tests are selected by name, tag and share", async () => {
  using dir = new TempDir();
  const path = dir.file("three.toml", THREE);
  const names = async (...args: string[]) =>
    (await json(...args, path)).records.slice(0, -1).map(({ name }) => name);
  assertEquals(await names("--filter", "GOO"), ["good"]);
  assertEquals(await names("--tag", "quick"), ["good"]);
  assertEquals(await names("--shard", "1/2"), ["good", "skipped"]);
  assertEquals(await names("--shard=2/2"), ["bad"]);
  assertEquals(await names("--shard=4/4"), []);
});

Deno.test("invalid command lines are exit code 2", async () => {
  using dir = new TempDir();
  const path = dir.file("three.toml", THREE);
  for (
    const [args, message] of [
      [[], "test needs PATH..."],
      [["--filter", "zzz", path], "--filter and --tag select none of the 3 tests"],
      [["--shard", "3/2", path], '--shard: "3/2" is not a shard; write the second of three as 2/3'],
      [["--jobs", "0", path], '--jobs: "0" is not a count; write a whole number of at least 1'],
      [["--format", "xml", path], '--format: "xml" is none of human, tap, junit, json'],
      [[`${PROJECT}images/src`], `${PROJECT}images/src has no test files: *.toml`],
    ] as const
  ) {
    const { code, stdout, stderr } = await vmexit("test", ...args);
    assertEquals([code, stdout, stderr], [2, "", `vmexit: ${message}\n`]);
  }
});

Deno.test("invalid files are exit code 4, each error with its line and column", async () => {
  using dir = new TempDir();
  const one = dir.file("one.toml", '[[test]]\nname = "a"\nimage = "x"\nmemroy = "1M"\n');
  const two = dir.file("two.toml", "a = = 1\n");
  const cfg = dir.file("unittests.cfg", "[a]\n");
  const { code, stdout, lines } = await vmexit("test", one, two, cfg);
  assertEquals([code, stdout], [4, ""]);
  assertEquals(lines, [
    `vmexit: ${one}:4:1: unknown key "memroy"; did you mean memory?`,
    `vmexit: ${two}:1:5: Unexpected token`,
    `vmexit: ${cfg}:1:1: [a] names no file`,
  ]);
  assertEquals((await vmexit("test", `${dir.path}/none.toml`)).code, 4);
  const endless = await vmexit("test", "/dev/zero");
  assertEquals(endless.code, 4);
  assertStringIncludes(endless.stderr, "/dev/zero is larger than 0x1000000 bytes");
});

kvmTest("a folder stands for its test files, and images are relative to the file", async () => {
  using dir = new TempDir();
  Deno.mkdirSync(`${dir.path}/sub`);
  Deno.copyFileSync(image("hello.elf"), `${dir.path}/sub/guest.elf`);
  dir.file("sub/b.toml", '[[test]]\nname = "b"\nimage = "guest.elf"\ninitrd = "guest.elf"\n');
  dir.file("a.toml", '[[test]]\nname = "a"\nimage = "sub/guest.elf"\n');
  const { code, records } = await json(dir.path);
  assertEquals([code, ...records.map(({ name }) => name)], [0, "a", "b", undefined]);
});

kvmTest("--fail-fast ends the suite with the first failure", async () => {
  using dir = new TempDir();
  const spin = `[[test]]\nname = "spin"\nimage = "${image("spin.bin64")}"\nexit = "timeout"\n`;
  const path = dir.file("suite.toml", THREE + spin);
  const start = performance.now();
  const { code, summary } = await json("--fail-fast", "--jobs", "4", path);
  assertEquals([code, summary.failed, summary.not_run], [1, 1, 1]);
  // The guest that spins has a minute.
  assert(performance.now() - start < 30_000);
});

kvmTest("--repeat counts failures, and retry tries them again", async () => {
  using dir = new TempDir();
  const { summary, records } = await json("--repeat", "3", dir.file("three.toml", THREE));
  assertEquals([summary.passed, summary.failed, summary.skipped], [3, 3, 3]);
  assertEquals(
    summary.repeats.map((each: { name: string; failed: number; runs: number }) => [
      each.name,
      each.failed,
      each.runs,
    ]),
    [["good", 0, 3], ["bad", 3, 3]],
  );
  assertEquals(records.slice(0, 3).map(({ run }) => run), [1, 2, 3]);
  const stubborn = `[[test]]\nname = "bad"\nimage = "${image("hello.elf")}"\nexit = 1\nretry = 2\n`;
  const retried = await json(dir.file("stubborn.toml", stubborn));
  assertEquals([retried.code, retried.records[0].attempts], [1, 3]);
});

kvmTest("--update writes golden files, but not those of tests that fail", async () => {
  using dir = new TempDir();
  const golden = (name: string, exit: number): string =>
    `[[test]]\nname = "${name}"\nimage = "${image("hello.elf")}"\nexit = ${exit}\n` +
    `stdout.golden = "${name}.out"\n`;
  const path = dir.file("golden.toml", golden("good", 0) + golden("bad", 5));
  assertEquals((await json(path)).summary.failed, 2);
  const { records } = await json("--update", path);
  assertEquals(records.map(({ status }) => status), ["passed", "failed", undefined]);
  assertEquals(records[0].updated, `${dir.path}/good.out`);
  assertEquals(Deno.readTextFileSync(`${dir.path}/good.out`), "Hello, KVM!\n");
  assertEquals((await json("--filter", "good", path)).code, 0);
  dir.file("good.out", "Hello, KVM?\n");
  const stale = await vmexit("test", "--filter", "good", path);
  assertStringIncludes(stale.stdout, "    -Hello, KVM?\n    +Hello, KVM!\n");
});

kvmTest("--update makes the folders of golden files, and says where it cannot", async () => {
  using dir = new TempDir();
  const path = dir.file(
    "a.toml",
    `[[test]]
name = "new"
image = "${image("hello.elf")}"
stdout.golden = "not/there/yet.txt"

[[test]]
name = "below a file"
image = "${image("hello.elf")}"
stdout.golden = "a.toml/golden.txt"
`,
  );
  const { code, stdout } = await vmexit("test", "--update", path);
  assertEquals(code, 1, stdout);
  assertEquals(Deno.readTextFileSync(`${dir.path}/not/there/yet.txt`), "Hello, KVM!\n");
  assertMatch(
    stdout,
    /FAIL below a file .*\n {2}stdout golden\n {4}expected {2}to (?:read|write) /,
  );
});

/** `mov edx, 0xe9; mov ecx, 400000; l: mov al, 10; out dx, al; loop l; cli; hlt` */
const NEWLINES = "ba e9 00 00 00  b9 80 1a 06 00  b0 0a  ee  e2 fb  fa  f4";

/** The most memory that a process has had when it ends, in MiB. */
async function peakMegabytes(args: string[]): Promise<number> {
  const child = new Deno.Command(VMEXIT, { args, stdout: "null", stderr: "null" }).spawn();
  let isRunning = true;
  const ended = child.status.then(() => isRunning = false);
  let peak = 0;
  while (isRunning) {
    try {
      const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
      peak = Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? peak);
    } catch {
      // It has just ended.
    }
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5))]);
  }
  return peak / 1024;
}

kvmTest("a guest that prints single bytes costs the runner no buffer for each", async () => {
  using dir = new TempDir();
  const guest = `${dir.path}/newlines.bin64`;
  Deno.writeFileSync(guest, code(NEWLINES));
  const path = dir.file(
    "a.toml",
    `[[test]]
name = "newlines"
image = "${guest}"
stdout.contains = "\\n\\n"
`,
  );
  assertEquals((await vmexit("test", path)).code, 0);
  assertLess(await peakMegabytes(["test", path]), 250);
});

/** `mov esi, text; mov edx, 0xe9; mov ecx, its length; rep outsb; cli; hlt; text: ...` */
function says(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const head = `be 13 00 10 00  ba e9 00 00 00  b9 ${
    bytes.length.toString(16)
  } 00 00 00  f3 6e  fa  f4`;
  return new Uint8Array([...code(head), ...bytes]);
}

kvmTest("a guest's escape sequences do not reach the tester's terminal", async () => {
  using dir = new TempDir();
  const guest = `${dir.path}/escapes.bin64`;
  Deno.writeFileSync(guest, says("\x1b[2J\u009b31m\x1b]0;t\x07PASS\r\n"));
  const path = dir.file(
    "a.toml",
    `[[test]]
name = "escapes"
image = "${guest}"
stdout = "PASS\\n"
`,
  );
  for (const format of ["human", "tap", "json", "junit"]) {
    const { code, stdout } = await vmexit("test", "--format", format, path);
    assertEquals(code, 1, stdout);
    assertEquals(/[^\n\P{Cc}]/u.exec(stdout)?.[0], undefined, format);
  }
  const { stdout } = await vmexit("test", path);
  assertStringIncludes(stdout, "    -PASS\n");
  assertStringIncludes(stdout, "PASS␍\n");
});

kvmTest("every format can go to a file, and the terminal still has its report", async () => {
  using dir = new TempDir();
  const path = dir.file("three.toml", THREE);
  for (
    const [format, start] of [
      ["tap", "TAP version 14\n1..3\nok 1 - good\n"],
      ["junit", '<?xml version="1.0"'],
      ["json", '{"type":"test","v":1,"name":"good"'],
      ["human", "FAIL bad"],
    ] as const
  ) {
    const output = `${dir.path}/report`;
    const { code, stdout } = await vmexit("test", "--format", format, "--output", output, path);
    assertEquals(code, 1);
    assertMatch(stdout, /^FAIL bad/);
    assertEquals(Deno.readTextFileSync(output).slice(0, start.length), start);
  }
  const { code, lines } = await vmexit("test", "--output", "/nonexistent/x", path);
  assertEquals([code, lines.length], [10, 1]);
});

kvmTest("a guest that prints for ever is ended, and that is its failure", async () => {
  using dir = new TempDir();
  dir.file("endless.bin16", code(WRITE_FOR_EVER));
  const path = dir.file(
    "a.toml",
    '[[test]]\nname = "a"\nimage = "endless.bin16"\nmax_output = 5000\n',
  );
  const { code: exitCode, records } = await json(path);
  assertEquals([exitCode, records[0].failures], [1, [{
    what: "output",
    expected: "at most 5000 bytes",
    actual: "more; the guest was ended",
  }]]);
});

kvmTest("the runner is quiet, and on a terminal tells how far it is", async () => {
  using dir = new TempDir();
  const path = dir.file("three.toml", THREE);
  const pty = openPty();
  try {
    const { stdout } = await bash(`vmexit test --jobs 1 "$1" 2>${pty.path}`, path);
    const bytes = new Uint8Array(65_536);
    const shown = new TextDecoder().decode(bytes.subarray(0, tryRead(pty.fd, bytes)));
    assertStringIncludes(shown, "\r\x1b[K[0/3] good");
    assertStringIncludes(shown, "\r\x1b[K[1/3] bad");
    assertStringIncludes(shown, "\r\x1b[K[3/3, 1 failed] ");
    assert(shown.endsWith("\r\x1b[K"), JSON.stringify(shown));
    assertEquals(stdout.includes("\x1b"), false);
  } finally {
    close(pty.fd);
  }
});

kvmTest("the unit tests' own list is run by its conventions", async () => {
  using dir = new TempDir();
  // mov al, N; out 0xf4, al
  for (const [name, value] of [["pass", 0], ["fail", 1], ["skip", 38], ["abort", 63]] as const) {
    dir.file(`${name}.bin16`, code(`b0 ${value.toString(16).padStart(2, "0")} e6 f4`));
  }
  const section = (name: string) =>
    `[${name}]\nfile = ${name}.bin16\nqemu_params = -cpu max,+vmx,pmu=on\n`;
  const path = dir.file(
    "unittests.cfg",
    ["pass", "fail", "skip", "abort", "none"].map(section).join(""),
  );
  const { code: exitCode, records } = await json(path);
  assertEquals(exitCode, 1);
  assertEquals(records.slice(0, -1).map(({ status, exit_code }) => [status, exit_code]), [
    ["passed", 1],
    ["failed", 3],
    ["skipped", 77],
    ["failed", 127],
    ["skipped", undefined],
  ]);
  assertEquals(records[0].left_out, ["-cpu pmu=on"]);
  const { stdout } = await vmexit("test", path);
  assertStringIncludes(stdout, "left out, with the number of tests:\n     5  -cpu pmu=on\n");
});
