/**
 * What is shown of a run, how, and where.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "@std/fs";
import { kvmTest } from "../lib/kvm.ts";
import { readTrace, type TraceRecord } from "../lib/trace_schema.ts";
import { bash, execute, image, linesOf, TempDir, VMEXIT, vmexit } from "../lib/vmexit.ts";

/** How often each reason is traced. */
async function traced(...args: string[]): Promise<Record<string, number>> {
  const { lines } = await vmexit("run", "--format", "json", ...args);
  const counts: Record<string, number> = {};
  for (const { type, reason } of readTrace(lines)) {
    if (type === "exit") counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

const MMIO_GUEST = image("mmio.bin64");

for (
  const [spec, counts] of [
    ["all", { IO: 39, MMIO: 8, HLT: 1 }],
    ["none", {}],
    ["mmio", { MMIO: 8 }],
    ["HLT", { HLT: 1 }],
    ["hlt,Mmio", { MMIO: 8, HLT: 1 }],
    ["io", { IO: 39, MMIO: 8 }],
    ["io, hlt", { IO: 39, MMIO: 8, HLT: 1 }],
    ["msr,irq,debug,error,fault,hypercall", {}],
    ["all,none,hlt", { HLT: 1 }],
  ] as const
) {
  kvmTest(`--trace "${spec}" shows ${JSON.stringify(counts)}`, async () => {
    assertEquals(await traced("--trace", spec, MMIO_GUEST), counts);
  });
}

kvmTest("--trace shows exits with the numbers that they have in the run", async () => {
  const { lines } = await vmexit("run", "--trace", "hlt", "--format", "json", MMIO_GUEST);
  assertEquals(readTrace(lines).find(({ type }) => type === "exit")?.n, 48);
});

kvmTest("-q and --trace none show the outcome alone", async () => {
  for (const quiet of [["-q"], ["--quiet"], ["--trace", "none"], ["-q", "--trace", "all"]]) {
    const { stdout, lines } = await vmexit("run", ...quiet, image("hello.elf"));
    assertEquals(stdout, "Hello, KVM!\n");
    assertEquals(lines, ["vmexit: guest halted (HLT); exit code 0"]);
  }
});

kvmTest("--trace-file - writes the trace to stdout, on separate lines", async () => {
  const { code, stdout, stderr } = await vmexit(
    ...["run", "--trace", "hlt", "--trace-file", "-", image("hello.elf")],
  );
  const [guest, hlt, ...summary] = linesOf(stdout);
  assertEquals([code, guest], [0, "Hello, KVM!"]);
  assertMatch(hlt!, /^#13 .* HLT /);
  assertMatch(summary.join("\n"), /^--- 13 exits in /);
  assertEquals(summary.at(-1), "vmexit: guest halted (HLT); exit code 0");
  assertEquals(stderr, "vmexit: guest halted (HLT); exit code 0\n");
});

kvmTest("-q leaves warnings, which --unclaimed ignore takes away", async () => {
  const warned = await vmexit("run", "-q", image("unclaimed.bin64"));
  assertEquals(warned.lines, [
    "vmexit: warning: no device claims port 0x1234: reads give all ones, writes are lost",
    "vmexit: guest halted (HLT); exit code 0",
  ]);
  const ignored = await vmexit("run", "-q", "--unclaimed", "ignore", image("unclaimed.bin64"));
  assertEquals(ignored.lines, ["vmexit: guest halted (HLT); exit code 0"]);
});

kvmTest("a text trace names ports, devices, data and the way of an exit", async () => {
  const { lines } = await vmexit("run", image("hello.elf"));
  assertMatch(
    lines[0]!,
    /^#1 \+\d+\.\d{3}ms cpu0 IO out port=0x3f8 \(COM1\) size=1 count=1 data=0x48 'H' rip=0x1000[0-9a-f]{2} -> uart0$/,
  );
});

kvmTest("a JSON trace has the same as fields, and ends with the outcome", async () => {
  const { lines } = await vmexit("run", "--format", "json", image("hello.elf"));
  const records = readTrace(lines);
  const [begin, first] = records as [TraceRecord, TraceRecord];
  assertEquals([begin.type, begin.boot, begin.machine, begin.cpus], ["begin", "elf", "bare", 1]);
  assertEquals(begin.slots, [{ id: 0, gpa: "0x0", size: "0x8000000", kind: "ram" }]);
  assertEquals([first.n, first.cpu, first.reason, first.code], [1, 0, "IO", 2]);
  const io = { direction: "out", port: 0x3f8, size: 1, count: 1, data: "48", device: "uart0" };
  assertEquals(first.io, io);
  const inGuest = records.reduce(
    (sum, { type, guest_us }) => sum + (type === "exit" ? guest_us : 0),
    0,
  );
  const outcome = records.at(-1)!;
  assertEquals(outcome.type, "outcome");
  assertEquals(outcome.by_port, { "0x3f8": 12 });
  assert(outcome.guest_us > 0 && outcome.guest_us <= outcome.t_us);
  assert(Math.abs(inGuest - outcome.guest_us) < 2, "the exits' times in the guest are all of it");
});

kvmTest("in JSON a quiet run is its outcome record, without what was not counted", async () => {
  const { lines } = await vmexit("run", "-q", "--format", "json", image("hello.elf"));
  const [outcome, ...more] = readTrace(lines) as [TraceRecord, ...TraceRecord[]];
  assertEquals(more, []);
  assertEquals([outcome.kind, outcome.exits, outcome.by_port], ["halt", 13, undefined]);
});

kvmTest("in JSON warnings are records", async () => {
  const { lines } = await vmexit("run", "--format", "json", image("unclaimed.bin64"));
  const warnings = readTrace(lines).filter(({ type }) => type === "warning");
  assertEquals(warnings.map(({ message }) => message), [
    "no device claims port 0x1234: reads give all ones, writes are lost",
  ]);
});

kvmTest("--trace-file takes the whole trace, in text; stderr has the outcome", async () => {
  using dir = new TempDir();
  const path = dir.file("trace", "what was there before, which is longer than nothing");
  const { code, stdout, lines } = await vmexit("run", "--trace-file", path, image("hello.elf"));
  assertEquals([code, stdout], [0, "Hello, KVM!\n"]);
  assertEquals(lines, ["vmexit: guest halted (HLT); exit code 0"]);
  const trace = linesOf(Deno.readTextFileSync(path));
  assertEquals(trace.filter((line) => line.startsWith("#")).length, 13);
  assertMatch(trace[0]!, /^#1 /);
  assertEquals(trace.at(-1), lines[0]);
});

kvmTest(
  "--trace-file takes the whole trace, in JSON; stderr has the outcome in words",
  async () => {
    using dir = new TempDir();
    const path = `${dir.path}/trace.jsonl`;
    const args = ["run", "--format", "json", `--trace-file=${path}`, image("triple.bin64")];
    const { code, lines } = await vmexit(...args);
    assertEquals(code, 22);
    assertMatch(lines.join("\n"), /^vmexit: guest shut down by a triple fault .*; exit code 22$/);
    const records = readTrace(linesOf(Deno.readTextFileSync(path)));
    assertEquals(records.map(({ type }) => type), ["begin", "exit", "outcome"]);
  },
);

kvmTest("--trace-file can be a pipe, and stdout itself", async () => {
  const run = 'vmexit run --trace-file >(cat >&2) "$1" 2>/dev/null; wait $!';
  const pipe = await bash(run, image("hlt.bin16"));
  assertMatch(pipe.stderr, /^#1 .* HLT rip=0x[0-9a-f]+\n--- 1 exit in /);
  const stdout = await bash('vmexit run --trace-file /dev/stdout "$1" | cat', image("hlt.bin16"));
  assertMatch(stdout.stdout, /^#1 .* HLT rip=0x[0-9a-f]+\n--- 1 exit in /);
});

for (
  const [what, name, problem] of [
    ["a folder that is not there", "missing/trace", "No such file or directory \\(ENOENT\\)"],
    ["a folder", "", "Is a directory \\(EISDIR\\)"],
  ] as const
) {
  kvmTest(`--trace-file that is ${what}: exit code 10, and the guest does not run`, async () => {
    using dir = new TempDir();
    const path = `${dir.path}/${name}`;
    const { code, stdout, stderr } = await vmexit("run", "--trace-file", path, image("hello.elf"));
    assertEquals([code, stdout], [10, ""]);
    assertMatch(
      stderr,
      new RegExp(`^vmexit: cannot write ${path}: ${problem}; see --trace-file\n$`),
    );
  });
}

/** A run on a terminal: what appears there. */
async function onTerminal(command: string, env: Record<string, string> = {}): Promise<string> {
  const args = ["-qec", command, "/dev/null"];
  const { stdout } = await execute("script", args, { env: { TERM: "xterm", ...env } });
  return stdout.replaceAll("\r\n", "\n");
}

const hasScript = ["/usr/bin/script", "/bin/script"].some((path) => existsSync(path));

function terminalTest(name: string, fn: () => Promise<void>): void {
  if (hasScript) kvmTest(name, fn);
  else Deno.test({ name: `${name} (needs script, of util-linux)`, ignore: true, fn });
}

/** A reason in its colour, as a part of a regular expression. */
const colored = (reason: string): string => `\x1b\\[1;36m${reason}\x1b\\[0m`;

terminalTest(
  "on a terminal reasons have a colour, and guest lines stand behind their exits",
  async () => {
    const text = await onTerminal(`${VMEXIT} run ${image("hello.elf")}`, { NO_COLOR: "" });
    const lines = linesOf(text);
    assertMatch(lines[0]!, new RegExp(`^#1 \\+\\S+ cpu0 ${colored("IO")} out `));
    assertMatch(lines[10]!, /^#11 /);
    assertEquals(lines[13], "Hello, KVM!");
    assertMatch(lines[12]!, new RegExp(`^#13 \\+\\S+ cpu0 ${colored("HLT")} `));
  },
);

terminalTest("NO_COLOR takes the colour away", async () => {
  const text = await onTerminal(`${VMEXIT} run ${image("hello.elf")}`, { NO_COLOR: "1" });
  assertMatch(text, /^#1 .* IO out /);
  assert(!text.includes("\x1b"), text);
});

terminalTest("neither a trace file nor JSON nor stderr in a pipe has colour", async () => {
  using dir = new TempDir();
  const run = `${VMEXIT} run ${image("hello.elf")}`;
  const commands = [
    `${run} --trace-file ${dir.path}/trace; cat ${dir.path}/trace`,
    `${run} --format json`,
    `${run} 2>&1 | cat`,
  ];
  for (const command of commands) {
    const text = await onTerminal(command, { NO_COLOR: "" });
    assertMatch(text, /#13|"n":13/);
    assert(!text.includes("\x1b"), text);
  }
});
