/**
 * Every image of images/ on the command line: its output, its traces, its exit
 * code, as images/README.md and the comment at the top of its source promise.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { images } from "../../images/build.ts";
import { kvmTest } from "../lib/kvm.ts";
import { readTrace } from "../lib/trace_schema.ts";
import { image, lastLine, vmexit } from "../lib/vmexit.ts";

/** What an image is to do. */
interface Expected {
  readonly stdout: string | RegExp;
  readonly code?: number;
  /** Counts by reason, where they are the same on every host. */
  readonly exits?: Record<string, number>;
  readonly options?: readonly string[];
}

/** A guest that writes a text to COM1 byte by byte and halts. */
function prints(stdout: string): Expected {
  return { stdout, exits: { IO: stdout.length, HLT: 1 } };
}

/** The same on a PC, where HLT does not exit. */
function printsOnPc(stdout: string, furtherExits = 0): Expected {
  return {
    stdout,
    exits: { IO: stdout.length + furtherExits },
    options: ["--machine", "pc"],
  };
}

const TRIPLE_FAULT: Expected = { stdout: "", code: 22, exits: { SHUTDOWN: 1 } };
/** The trace of 100,000 exits is not looked at one by one. */
const STORM = { exits: { IO: 100_000, HLT: 1 }, options: ["--trace", "hlt"] };

const REGS64 = `rsp=0000000000100000
rflags=0000000000000002
cs=0008
ds=0010
es=0010
fs=0010
gs=0010
ss=0010
cr0=00000000e0000011
cr3=[0-9a-f]{13}000
cr4=0000000000000020
efer=00000500
reload=ok
`;

/** What guests print of the ACPI root pointer and of the memory map, whose lines begin with a name. */
function mapOf(name: string): string {
  return `rsdp=00000000000f0000\n(${name} base=.{16} length=.{16} type=\\d\n){4,}`;
}

/** What a guest prints of boot_params. */
function linuxInfo(entry: string): RegExp {
  const rest = "(setup_data type=00000009 length=00000020\n)?";
  return new RegExp(`^entry=${entry}\nloader=ff\ncmdline=\n${mapOf("e820")}${rest}$`);
}

const EXPECTED: Record<string, Expected> = {
  "hello.elf": prints("Hello, KVM!\n"),
  "hello32.elf": prints("Hello from ELF32!\n"),
  "hello.bin16": prints("Hello from flat16!\n"),
  "hello.bin32": prints("Hello from flat32!\n"),
  "hello.bin64": prints("Hello from flat64!\n"),
  "hello.mb": { ...printsOnPc("Hello from Multiboot!\n"), options: [] },
  "hello.kludge": { ...printsOnPc("Hello from a kludge!\n"), options: [] },
  "pc/idle.bin16": {
    stdout: "",
    code: 124,
    exits: {},
    options: ["--machine", "pc", "--timeout", "150ms"],
  },
  "pc/timer.bin16": printsOnPc("tick\n".repeat(5) + "off\n", 1),
  "pc/rtc.bin16": { stdout: "period\n".repeat(5) + "off\n", options: ["--machine", "pc"] },
  "pc/io-apic.bin32": printsOnPc("ticked by input 2\n", 1),
  "pc/acpi.bin32": printsOnPc("FACP\nAPIC\nDSDT\ncpus=00000001\n", 1),
  "pc/mp-table.bin32": printsOnPc(
    "processors=01\nbuses=01\nio-apics=01\ninterrupts=0f\nlocal=02\n",
  ),
  "pc/fw-cfg.bin32": {
    stdout: "QEMU\nid=00000003\ncpus=0001\nram=00000080\na b\ngood day\n",
    options: ["--machine", "pc", "-a", "a b", "--fw-cfg", "opt/greeting,string=good day"],
  },
  "serial-poll.bin64": { stdout: "polled serial ok\n", exits: { IO: 50, HLT: 1 } },
  "echo.bin64": { stdout: "", exits: { IO: 1000, HLT: 1 } },
  "strio.bin64": {
    stdout: "outsb to 0xe9\noutsb to 0x402\noutsb down\ninsb ffffff\ninsw ffffffffffff\n" +
      "insd ffffffffffffffffffffffff\n",
  },
  "mmio.bin64": {
    stdout: "mmio ff ffff ffffffff ffffffffffffffff\n",
    exits: { IO: 39, MMIO: 8, HLT: 1 },
  },
  "hlt.bin16": { stdout: "", exits: { HLT: 1 } },
  "triple.bin64": TRIPLE_FAULT,
  "spin.bin64": { stdout: "", code: 124, exits: {}, options: ["--timeout", "50ms"] },
  "storm.bin64": { stdout: "", ...STORM },
  "storm-debugcon.bin64": { stdout: "x".repeat(100_000), ...STORM },
  "cpuid.bin64": { stdout: /^vendor=[ -~]{1,12}\nhypervisor=[ -~]{1,12}\n$/ },
  "msr.bin64": {
    stdout: /^apic_base=00000000fee00900\nefer=0000000000000500\ntsc=(?!0{16})[0-9a-f]{16}\n$/,
    exits: { IO: 70, HLT: 1 },
  },
  "msr-unknown.bin64": TRIPLE_FAULT,
  "msr-gp.bin64": prints("rdmsr #GP\nwrmsr #GP\ndone\n"),
  "unclaimed.bin64": { stdout: "port ff ffff ffffffff\n", exits: { IO: 28, HLT: 1 } },
  "exit.bin64": { stdout: "", code: 67, exits: { IO: 1 } },
  "highmem.bin64": { ...prints("highmem ok\n"), options: ["--memory", "5G"] },
  "regs.bin16": prints(
    "sp=7c00\ndx=0080\nflags=0002\ncs=0000\nds=0000\nes=0000\nfs=0000\ngs=0000\nss=0000\n" +
      "cr0=60000010\nefer=00000000\n",
  ),
  "regs.bin32": prints(
    "esp=00100000\neflags=00000002\ncs=0008\nds=0010\nes=0010\nfs=0010\ngs=0010\nss=0010\n" +
      "cr0=60000011\ncr3=00000000\ncr4=00000000\nefer=00000000\nreload=ok\n",
  ),
  "regs.bin64": { stdout: new RegExp(`^${REGS64}$`), exits: { IO: 180, HLT: 1 } },
  "linux-info.bzimage": { stdout: linuxInfo("64") },
  "vmlinux.elf": { stdout: linuxInfo("64") },
  "pvh-info.pvh": {
    stdout: new RegExp(`^magic=336ec578\nversion=00000001\ncmdline=\n${mapOf("memmap")}$`),
  },
  "mb2-info.mb2": {
    stdout: new RegExp(
      "^magic=36d76289\ncmdline=\nloader=vmexit\nmem_lower=0000027f mem_upper=0001fc00\n" +
        "(mmap base=.{16} length=.{16} type=\\d\n)+sections=00000003 names=.shstrtab\n" +
        "rsdp=RSD PTR \n$",
    ),
  },
  "mb-info.mb": {
    stdout:
      /^magic=2badb002\nflags=[0-9a-f]{8}\nloader=vmexit\ncmdline=[^\n]*mb-info\.mb\nmem_lower=0000027f\n/,
  },
};

/** Images that need holes, input, several vCPUs or a command line, or print rubbish. */
const ELSEWHERE = /^bench\/|^fault\/|^hostile\/|^pc\/serial-irq|^smp\//;
const TEXT_EXIT = /^#(\d+) \+(\d+\.\d{3})ms cpu0 ([A-Z0-9_]+)( .*)?$/;

Deno.test("every image that needs no other handling has its expectations here", () => {
  const names = [...images.keys()].filter((name) => !ELSEWHERE.test(name));
  assertEquals(names.sort(), Object.keys(EXPECTED).sort());
});

for (const [name, { stdout, code = 0, exits, options = [] }] of Object.entries(EXPECTED)) {
  const assertOutput = (given: string): void => {
    if (typeof stdout === "string") assertEquals(given, stdout);
    else assertMatch(given, stdout);
  };

  kvmTest(`${name} has its output, trace and exit code, in text`, async () => {
    const result = await vmexit("run", ...options, image(name));
    assertOutput(result.stdout);
    assertEquals(result.code, code);
    assertMatch(lastLine(result), new RegExp(`^vmexit: .+; exit code ${code}$`));
    const summary = result.lines.findIndex((line) => line.startsWith("--- "));
    const trace = result.lines.slice(0, summary).filter((line) => !line.startsWith("vmexit: "));
    let [number, time] = [0, 0];
    for (const line of trace) {
      const [, n, ms] = TEXT_EXIT.exec(line) ?? [];
      assert(Number(n) > number && Number(ms) >= time, line);
      [number, time] = [Number(n), Number(ms)];
    }
    const total = Object.values(exits ?? {}).reduce((sum, count) => sum + count, 0);
    const shown = options.includes("--trace") ? 1 : total;
    if (exits) {
      assertEquals(trace.length, shown);
      assertMatch(result.lines[summary]!, new RegExp(`^--- ${total} exits? in \\d+\\.\\d{3} ms: `));
    }
    for (const [reason, count] of Object.entries(exits ?? {})) {
      assert(result.lines.includes(`${String(count).padStart(10)}  ${reason}`), result.stderr);
    }
  });

  kvmTest(`${name} has a trace in JSON that fits the schema`, async () => {
    const result = await vmexit("run", "--format", "json", ...options, image(name));
    assertOutput(result.stdout);
    assertEquals(result.code, code);
    const records = readTrace(result.lines);
    const outcome = records.pop()!;
    assertEquals([outcome.type, outcome.exit_code], ["outcome", code]);
    if (exits) assertEquals(outcome.by_reason, exits);
    const traced = records.filter(({ type }) => type === "exit");
    if (!options.includes("--trace")) {
      assertEquals(traced.map(({ n }) => n), Array.from(traced, (_, i) => i + 1));
      const counted: Record<string, number> = {};
      for (const { reason } of traced) counted[reason] = (counted[reason] ?? 0) + 1;
      assertEquals(counted, outcome.by_reason);
    }
  });
}
