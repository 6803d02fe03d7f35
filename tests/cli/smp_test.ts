/**
 * Guests with several vCPUs on the command line: what they print, how they end,
 * what their traces hold.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { readTrace, type TraceRecord } from "../lib/trace_schema.ts";
import { image, lastLine, linesOf, type Result, vmexit } from "../lib/vmexit.ts";

/** Ends a test whose guest ought to have ended long before. */
const LIMIT = ["--timeout", "60s"];
/** Bits of a byte of storm.mb: the counter; above it is the processor. */
const COUNTER_BITS = 6;
const COUNTER_MASK = (1 << COUNTER_BITS) - 1;
/** Where the page is that the memory faults are about. */
const BAD = "0x300000";

/** Runs an image of images/ on several vCPUs. */
function runOn(cpus: number, name: string, ...options: string[]): Promise<Result> {
  return vmexit("run", "-c", `${cpus}`, ...LIMIT, ...options, image(name));
}

/** Runs it with a trace in JSON; the exits by number and the outcome. */
async function traceOn(
  cpus: number,
  name: string,
  ...options: string[]
): Promise<Result & { exits: TraceRecord[]; outcome: TraceRecord }> {
  const result = await runOn(cpus, name, "--format", "json", ...options);
  const records = readTrace(result.lines);
  const outcome = records.pop()!;
  assertEquals([outcome.type, outcome.exit_code], ["outcome", result.code]);
  return { ...result, exits: records.filter(({ type }) => type === "exit"), outcome };
}

/** 0, 1, … up to a number. */
function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** What a processor of hello.mb says. */
function greeting(cpu: number): string {
  return `cpu ${cpu}: apic id ${cpu}, cpuid ${cpu}`;
}

/** The bytes that a vCPU wrote to a port, as its exits have them. */
function written(exits: readonly TraceRecord[], cpu: number, port: number): Uint8Array {
  const data = exits
    .filter(({ cpu: by, io }) => by === cpu && io?.port === port && io.direction === "out")
    .map(({ io }) => io.data)
    .join("");
  return Uint8Array.from(data.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** Sees that each processor's bytes are among these, each once and in their order. */
function assertStorm(bytes: Uint8Array, cpus: number, each: number): void {
  for (const cpu of upTo(cpus)) {
    const counters = [...bytes].filter((byte) => byte >> COUNTER_BITS === cpu)
      .map((byte) => byte & COUNTER_MASK);
    assertEquals(counters, upTo(each).map((i) => i & COUNTER_MASK), `cpu ${cpu}`);
  }
  assertEquals(bytes.length, cpus * each);
}

for (const cpus of [1, 2, 4, 8]) {
  kvmTest(`${cpus} vCPUs start and know their APIC ids`, async () => {
    const result = await runOn(cpus, "smp/hello.mb", "-q");
    const lines = linesOf(result.stdout);
    assertEquals(lines.pop(), `${cpus} processors, ${cpus} started`);
    assertEquals(lines.sort(), upTo(cpus).map(greeting));
    assertEquals([result.code, lastLine(result)], [
      1,
      `vmexit: guest wrote 0x0 to the debug-exit port${cpus > 1 ? " on cpu0" : ""}; exit code 1`,
    ]);
  });
}

kvmTest("a trace in JSON numbers the exits of all vCPUs in one order", async () => {
  const cpus = 4;
  const { code, stdout, exits, outcome } = await traceOn(cpus, "smp/hello.mb");
  assertEquals(code, 1);
  assertEquals(exits.map(({ n }) => n), exits.map((_, i) => i + 1));
  assertEquals(outcome.by_reason, { IO: stdout.length + 1 });
  assertEquals(outcome.exits, exits.length);
  for (const cpu of upTo(cpus)) {
    const own = exits.filter((exit) => exit.cpu === cpu);
    const times = own.map(({ t_us }) => t_us);
    assertEquals(times, times.toSorted((a, b) => a - b), `cpu ${cpu}`);
    const text = new TextDecoder().decode(written(exits, cpu, 0x3f8));
    const more = cpu === 0 ? `${cpus} processors, ${cpus} started\n` : "";
    assertEquals(text, `${greeting(cpu)}\n${more}`);
  }
});

kvmTest("a trace in text names the vCPU of each exit", async () => {
  const { lines } = await runOn(4, "smp/hello.mb");
  const traced = lines.filter((line) => line.startsWith("#"));
  traced.forEach((line, i) => assertMatch(line, new RegExp(`^#${i + 1} \\+\\S+ms cpu[0-3] IO `)));
  const cpus = new Set(traced.map((line) => line.split(" ")[2]));
  assertEquals([...cpus].sort(), ["cpu0", "cpu1", "cpu2", "cpu3"]);
});

for (const mode of ["serial", "debugcon", "mixed"]) {
  for (const cpus of [1, 2, 4]) {
    kvmTest(`${cpus} vCPUs that write at once lose no byte, mode=${mode}`, async () => {
      const { code, bytes } = await runOn(cpus, "smp/storm.mb", "-q", "-a", `mode=${mode}`);
      assertEquals(code, 1);
      assertStorm(bytes, cpus, 1000);
    });
  }
}

kvmTest("a trace holds what vCPUs wrote at once, and who wrote it", async () => {
  const [cpus, each] = [4, 100];
  const { code, bytes, exits, outcome } = await traceOn(
    cpus,
    "smp/storm.mb",
    "-a",
    `bytes=${each}`,
  );
  assertEquals(code, 1);
  assertStorm(bytes, cpus, each);
  assertEquals(exits.map(({ n }) => n), exits.map((_, i) => i + 1));
  assertEquals(outcome.by_port, { "0x3f8": cpus * each, "0xf4": 1 });
  for (const cpu of upTo(cpus)) {
    const own = written(exits, cpu, 0x3f8);
    assert(own.every((byte) => byte >> COUNTER_BITS === cpu), `cpu ${cpu}`);
    assertEquals(own.length, each);
  }
});

kvmTest("--max-exits counts the exits of all vCPUs", async () => {
  const { code, exits } = await traceOn(4, "smp/storm.mb", "--max-exits", "200");
  assertEquals(code, 30);
  assertEquals(exits.map(({ n }) => n).slice(0, 200), upTo(200).map((i) => i + 1));
});

for (const cpus of [1, 2, 4]) {
  kvmTest(`${cpus} vCPUs interrupt each other, and no interrupt is lost`, async () => {
    const { code, stdout } = await runOn(cpus, "smp/ipi.mb", "-q", "-a", "count=20");
    const total = cpus * (cpus - 1) * 20;
    assertEquals([stdout, code], [`ipi: ${total} sent, ${total} received\n`, 1]);
  });
}

for (const cpus of [2, 4]) {
  kvmTest(`of ${cpus} vCPUs the second can end the run`, async () => {
    const { code, stdout, exits, outcome } = await traceOn(cpus, "smp/exit-from-ap.mb");
    assertEquals([code, stdout], [43, ""]);
    assertEquals([outcome.kind, outcome.value], ["debug_exit", 21]);
    assertEquals(exits.map(({ cpu, reason }) => [cpu, reason]), [[1, "IO"]]);
  });
}

for (const cpus of [1, 2, 4]) {
  kvmTest(`${cpus} vCPUs that all halt with interrupts off end the run`, async () => {
    const result = await runOn(cpus, "smp/halt-all.mb", "-q");
    assertEquals([result.stdout, result.code], [`${cpus} processors halt\n`, 0]);
    assertEquals(lastLine(result), "vmexit: guest halted (HLT); exit code 0");
  });
}

kvmTest("a run ends though some vCPUs were never started", async () => {
  const result = await runOn(4, "hello.mb", "-q");
  assertEquals([result.stdout, result.code], ["Hello from Multiboot!\n", 0]);
  assertEquals(lastLine(result), "vmexit: guest halted (HLT); exit code 0");
});

kvmTest("one vCPU that can be woken keeps the machine alive", async () => {
  const result = await runOn(3, "smp/idle-one.mb", "-q");
  assertEquals([result.stdout, result.code], ["tick\n".repeat(5), 0]);
  assertEquals(lastLine(result), "vmexit: guest powered off on cpu1; exit code 0");
});

kvmTest("the timeout ends a run on several vCPUs, idle ones and ones that spin", async () => {
  const args = ["--machine", "pc", "--timeout", "250ms", "-q"];
  assertEquals((await vmexit("run", "-c", "2", ...args, image("pc/idle.bin16"))).code, 124);
  const spin = ["-a", "bytes=4294967295", "--com1", "null"];
  assertEquals(
    (await vmexit("run", "-c", "4", ...args, ...spin, image("smp/storm.mb"))).code,
    124,
  );
});

kvmTest("a memory fault of the second vCPU ends the run with its address", async () => {
  const options = ["-a", `gpa=${BAD}`, "--hole", `${BAD}+0x1000:none`];
  const { code, stdout, outcome } = await traceOn(2, "smp/ap-fault.mb", ...options);
  assertEquals([code, stdout], [20, ""]);
  const { kind, cpu, gpa, size, access } = outcome;
  assertEquals([kind, cpu, gpa, size, access], ["memory_fault", 1, BAD, "0x4", "read"]);
  const text = await runOn(4, "smp/ap-fault.mb", "-q", ...options);
  assertEquals(text.code, 20);
  assertMatch(
    lastLine(text),
    /^vmexit: memory fault: gpa=0x300000 size=0x4 access=read .* on cpu1; exit code 20$/,
  );
});

kvmTest("a memory fault of the second vCPU is resolved where it can be", async () => {
  const options = ["-a", `gpa=${BAD}`, "--hole", `${BAD}+0x1000:lazy`];
  const { code, stdout, outcome } = await traceOn(2, "smp/ap-fault.mb", ...options);
  assertEquals([code, stdout, outcome.faults_resolved], [1, "read 00000000\n", 1]);
});

kvmTest("a triple fault of the second vCPU ends the run", async () => {
  const { code, exits, outcome } = await traceOn(2, "smp/ap-triple.mb");
  assertEquals([code, outcome.kind], [22, "shutdown"]);
  assertEquals(exits.map(({ cpu, reason }) => [cpu, reason]), [[1, "SHUTDOWN"]]);
});

kvmTest("the firmware's tables and fw_cfg count the vCPUs", async () => {
  const onPc = async (name: string): Promise<string> =>
    (await runOn(4, name, "-q", "--machine", "pc")).stdout;
  assertEquals(await onPc("pc/acpi.bin32"), "FACP\nAPIC\nDSDT\ncpus=00000004\n");
  assertMatch(await onPc("pc/mp-table.bin32"), /^processors=04\n/);
  assertMatch(await onPc("pc/fw-cfg.bin32"), /\ncpus=0004\n/);
});

kvmTest("a guest for several vCPUs says when it cannot do what it is for", async () => {
  for (const name of ["exit-from-ap", "idle-one", "ap-fault", "ap-triple"]) {
    assertEquals((await runOn(1, `smp/${name}.mb`, "-q")).code, 5, name);
  }
  assertEquals((await runOn(1, "smp/storm.mb", "-q", "-a", "mode=other")).code, 5);
  assertEquals((await runOn(5, "smp/storm.mb", "-q")).code, 5);
});
