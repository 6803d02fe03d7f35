/**
 * Invalid command lines, and the help texts.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { exitCodeOf } from "../../src/machine/outcome.ts";
import { COMMANDS } from "../../src/cli/options/options.ts";
import { TRACE_CLASSES } from "../../src/trace/spec.ts";
import { bash, image, linesOf, vmexit } from "../lib/vmexit.ts";

const HELLO = image("hello.elf");
/** What is said of -kernel. */
const OPERAND = "give the image as the operand: vmexit run IMAGE";

for (
  const [args, message] of [
    [[], "a command is missing; try vmexit help, or vmexit run IMAGE"],
    [["rnu"], 'unknown command "rnu"; did you mean run?'],
    [["xyzzy"], 'unknown command "xyzzy"'],
    [["--versoin"], 'unknown command "--versoin"; did you mean --version?'],
    [[HELLO], `unknown command "${HELLO}"; to boot that image: vmexit run ${HELLO}`],
    [["hello"], 'unknown command "hello"; to boot that image: vmexit run hello'],
    [["-kernel", HELLO], `-kernel is an option of QEMU; ${OPERAND}`],
    [["run", "-kernel", HELLO], `-kernel is an option of QEMU; ${OPERAND}`],
    [["run", "--kernel", HELLO], `--kernel is an option of QEMU; ${OPERAND}`],
    [["run", "-smp", "2", HELLO], "-smp is an option of QEMU; vmexit has --cpus N"],
    [["run", "-append", "x", HELLO], "-append is an option of QEMU; vmexit has --append STRING"],
    [
      ["run", "-q", "--trace", "hlt", HELLO],
      "--quiet shows no exits, so --trace hlt has no effect; omit one",
    ],
    [["run"], "run needs IMAGE"],
    [["run", "-q"], "run needs IMAGE"],
    [["run", HELLO, "more"], 'run takes IMAGE, and "more" is one too many'],
    [["run", "--", "a", "-b"], 'run takes IMAGE, and "-b" is one too many'],
    [["doctor", "x"], 'doctor takes no arguments, and "x" is one too many'],
    [["help", "rnu"], 'there is no command "rnu"; did you mean run?'],
    [["run", "--memroy", "1M", HELLO], "unknown option --memroy; did you mean --memory?"],
    [["run", "--mem=1M", HELLO], "unknown option --mem; did you mean --memory?"],
    [["run", "--no-quiet", HELLO], "unknown option --no-quiet; did you mean --quiet?"],
    [["run", "-z", HELLO], "unknown option -z"],
    [["run", "-qz", HELLO], "unknown option -z"],
    [["inspect", "--trace", "all", HELLO], "unknown option --trace"],
    [["run", "-m"], "--memory needs a value"],
    [["run", HELLO, "--timeout"], "--timeout needs a value"],
    [["run", "--initrd=", HELLO], "--initrd needs a value"],
    [["run", "--trace-file", "", HELLO], "--trace-file needs a value"],
    [["run", "--quiet=yes", HELLO], '--quiet takes no value, and "yes" is one'],
    [["run", "-q=1", HELLO], '--quiet takes no value, and "1" is one'],
    [["run", "-m", "1M", "--memory=2M", HELLO], "--memory is given twice"],
    [
      ["run", "--format", "jsn", HELLO],
      '--format: "jsn" is none of text, json; did you mean json?',
    ],
    [["doctor", "--format", "xml"], '--format: "xml" is none of text, json'],
    [
      ["run", "--trace", "hltt", HELLO],
      '--trace: "hltt" is neither an exit reason nor a class of them; did you mean HLT?',
    ],
    [["run", "--trace", "", HELLO], "--trace needs a value"],
    [
      ["run", "--timeout", "5", HELLO],
      '--timeout: "5" is not a duration; write it as 500ms, 5s or 2m',
    ],
    [
      ["run", "--timeout", "0s", HELLO],
      '--timeout: "0s" is not a duration; write it as 500ms, 5s or 2m',
    ],
    [
      ["run", "--max-exits", "0", HELLO],
      '--max-exits: "0" is not a count; write a whole number of at least 1',
    ],
    [["run", "--entry", "main", HELLO], '--entry: "main" is not an address; write it as 0x100000'],
    [
      ["run", "--load-address", "0x10000000000000000", HELLO],
      '--load-address: "0x10000000000000000" is not an address; write it as 0x100000',
    ],
    [
      ["run", "--unclaimed", "stopp", HELLO],
      '--unclaimed: "stopp" is none of ignore, warn, stop; did you mean stop?',
    ],
    [["run", "--machine", "q35", HELLO], '--machine: "q35" is none of auto, bare, pc'],
    [
      ["run", "--cpus", "0", HELLO],
      '--cpus: "0" is not a count; write a whole number of at least 1',
    ],
    [["run", "-c", "256", HELLO], "--cpus: a guest has at most 255 vCPUs, not 256"],
  ] as const
) {
  const shown = args.map((arg) => arg === HELLO ? "IMAGE" : arg).join(" ");
  Deno.test(`"vmexit ${shown}" is exit code 2 and one line that says why`, async () => {
    const { code, stdout, stderr } = await vmexit(...args);
    assertEquals(stderr, `vmexit: ${message}\n`);
    assertEquals([code, stdout], [2, ""]);
  });
}

Deno.test("--version and -V print the version of deno.json", async () => {
  for (const flag of ["--version", "-V"]) {
    const { code, stdout, stderr } = await vmexit(flag);
    assertEquals([code, stdout, stderr], [0, `vmexit ${config.version}\n`, ""]);
  }
});

Deno.test("the general help has every command and every exit code", async () => {
  for (const args of [["help"], ["--help"], ["-h"]]) {
    const { code, stdout, stderr } = await vmexit(...args);
    assertEquals([code, stderr], [0, ""]);
    for (const { name, summary } of COMMANDS) {
      assertMatch(
        stdout,
        new RegExp(`^ {2}vmexit ${name} .*${summary.replace(/[?]/g, "\\?")}$`, "m"),
      );
    }
    const codes = [
      exitCodeOf({ kind: "halt" }),
      exitCodeOf({ kind: "shutdown" }),
      exitCodeOf({ kind: "max_exits", limit: 1 }),
      exitCodeOf({ kind: "run_failed", errno: 1 }),
      exitCodeOf({ kind: "timeout", timeoutMs: 1 }),
      exitCodeOf({ kind: "interrupted", signal: "" }),
      exitCodeOf({ kind: "output_failed", what: "" }),
      ...[2, 4, 6, 8, 20, 24, 26, 28],
    ];
    for (const each of codes) assertMatch(stdout, new RegExp(`^( {2}|.* )${each}  `, "m"));
  }
});

for (const command of COMMANDS) {
  Deno.test(`the help of ${command.name} has all its options and fits in 80 columns`, async () => {
    const { code, stdout, stderr } = await vmexit("help", command.name);
    assertEquals([code, stderr], [0, ""]);
    for (const { name, short, value } of command.options) {
      const left = `${short ? `-${short},` : "   "} --${name}${value ? ` ${value}` : ""} `;
      assertStringIncludes(stdout, left);
    }
    for (const line of linesOf(stdout)) {
      assert(line.length <= 80, line);
      assertEquals(line, line.trimEnd());
    }
    assertEquals((await vmexit(command.name, "--help")).stdout, stdout);
    assertEquals((await vmexit(command.name, "-h", "one", "too many")).stdout, stdout);
  });
}

Deno.test("the help of run has the trace classes", async () => {
  const { stdout } = await vmexit("help", "run");
  for (const [name, reasons] of Object.entries(TRACE_CLASSES)) {
    assertMatch(stdout, new RegExp(`^ {2}${name} +${reasons.join(", ")}$`, "m"));
  }
});

Deno.test("a reader that closes the help early is not an error", async () => {
  const { stdout, stderr } = await bash(
    "exec 3> >(:); wait $!; vmexit help >&3; echo $?; vmexit help run | head -1",
  );
  assertEquals(stdout, "0\nvmexit run: boot an image\n");
  assertEquals(stderr, "");
});

Deno.test("help, inspect and doctor that cannot be written are exit code 10", async () => {
  for (const command of ["help", "--version", 'inspect "$1"', "doctor --kvm /nonexistent"]) {
    const { code, lines } = await bash(`vmexit ${command} >/dev/full`, HELLO);
    assertEquals(code, 10, command);
    assertEquals(lines, ["vmexit: cannot write stdout: No space left on device (os error 28)"]);
  }
});

Deno.test("inspect says what an image is and how it would be booted", async () => {
  const { code, stdout, stderr } = await vmexit("inspect", HELLO);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(
    stdout.replace(/[^\n]*\bGDT\n|[^\n]*page tables\n/g, ""),
    `image    ${HELLO}, 368 bytes
format   ELF64 executable for 64-bit long mode
boot     --boot elf
fields
  class                 ELF64
  machine               x86-64
  type                  executable
  entry                 0x100000
  segments[0]           physical_address=0x100000 virtual_address=0x100000 file_size=34 memory_size=34
entry
  mode                  long
  cs                    0x8
  rip                   0x100000
  ds                    0x10
  rsp                   0x100000
  gdt                   0x7fff000
  cr3                   0x1000
memory
  0x100000              0x22       ELF program header 0: segment
`,
  );
});

Deno.test("inspect has the same as one JSON record", async () => {
  const { stdout } = await vmexit("inspect", "--format", "json", image("hello.mb"));
  assertEquals(linesOf(stdout).length, 1);
  const record = JSON.parse(stdout);
  assertEquals([record.type, record.v, record.boot], ["image", 1, "multiboot"]);
  assertEquals([record.entry.mode, record.entry.rax], ["protected", "0x2badb002"]);
  assertEquals(record.guest_memory, 128 * 2 ** 20);
});

Deno.test("inspect works without KVM, and takes the options of a boot", async () => {
  const args = ["--boot", "flat32", "-m", "64M", "--load-address", "0x200000", "--entry=0x200001"];
  const { code, stdout } = await vmexit("inspect", ...args, image("hello.bin64"));
  assertEquals(code, 0);
  assertMatch(stdout, /^ {2}mode +protected$/m);
  assertMatch(stdout, /^ {2}rip +0x200001$/m);
  assertMatch(stdout, /^ {2}0x200000 +0x29 +image$/m);
});
