/**
 * Whole machines on real KVM, with the guests of `images/`.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertMatch,
  assertThrows,
} from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { SystemError } from "../../ffi/libc.ts";
import { ImageError } from "../../src/boot/image.ts";
import { DisposedError } from "../../src/kvm/descriptor.ts";
import { KvmUnavailableError } from "../../src/kvm/unavailable.ts";
import { VirtualMachine } from "../../src/machine/machine.ts";
import { exitCodeOf } from "../../src/machine/outcome.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { GENEROUS_MS, TestMachine, type TestMachineOptions, traced } from "../lib/machine.ts";

const GIB = 2 ** 30;
const { IO, HLT, MMIO, SHUTDOWN } = KVM_EXIT;

interface Guest {
  readonly image: string;
  readonly options?: TestMachineOptions;
  readonly output: string;
  readonly exitCode?: number;
  readonly kind?: string;
  readonly byReason: readonly [reason: number, count: number][];
}

const GUESTS: readonly Guest[] = [
  { image: "hello.elf", output: "Hello, KVM!\n", byReason: [[IO, 12], [HLT, 1]] },
  { image: "hello32.elf", output: "Hello from ELF32!\n", byReason: [[IO, 18], [HLT, 1]] },
  { image: "hello.bin16", output: "Hello from flat16!\n", byReason: [[IO, 19], [HLT, 1]] },
  { image: "hello.bin32", output: "Hello from flat32!\n", byReason: [[IO, 19], [HLT, 1]] },
  { image: "hello.bin64", output: "Hello from flat64!\n", byReason: [[IO, 19], [HLT, 1]] },
  { image: "hello.mb", output: "Hello from Multiboot!\n", byReason: [[IO, 22], [HLT, 1]] },
  { image: "hello.kludge", output: "Hello from a kludge!\n", byReason: [[IO, 21], [HLT, 1]] },
  { image: "serial-poll.bin64", output: "polled serial ok\n", byReason: [[IO, 50], [HLT, 1]] },
  { image: "echo.bin64", output: "", byReason: [[IO, 1000], [HLT, 1]] },
  { image: "hlt.bin16", output: "", byReason: [[HLT, 1]] },
  { image: "exit.bin64", output: "", exitCode: 67, kind: "debug_exit", byReason: [[IO, 1]] },
  { image: "triple.bin64", output: "", exitCode: 22, kind: "shutdown", byReason: [[SHUTDOWN, 1]] },
  {
    image: "mmio.bin64",
    output: "mmio ff ffff ffffffff ffffffffffffffff\n",
    byReason: [[IO, 39], [MMIO, 8], [HLT, 1]],
  },
  {
    image: "unclaimed.bin64",
    output: "port ff ffff ffffffff\n",
    byReason: [[IO, 28], [HLT, 1]],
  },
  {
    image: "highmem.bin64",
    options: { memoryBytes: 5 * GIB },
    output: "highmem ok\n",
    byReason: [[IO, 11], [HLT, 1]],
  },
  { image: "storm.bin64", output: "", byReason: [[IO, 100_000], [HLT, 1]] },
];

for (const { image, options, output, exitCode = 0, kind = "halt", byReason } of GUESTS) {
  kvmTest(`${image} prints, exits and ends as its source says`, async () => {
    using test = new TestMachine(image, options);
    const outcome = await test.run();
    assertEquals(test.output, output);
    assertEquals([outcome.kind, exitCodeOf(outcome)], [kind, exitCode]);
    assertEquals(test.machine.statistics.byReason(), [...byReason]);
  });
}

/** The guest's lines `name=value`. */
async function registers(image: string): Promise<Record<string, string>> {
  const { output, outcome } = await traced(image);
  assertEquals(outcome, { kind: "halt" });
  return Object.fromEntries(output.trim().split("\n").map((line) => line.split("=")));
}

kvmTest("a flat16 guest finds the registers that it may expect", async () => {
  assertEquals(await registers("regs.bin16"), {
    sp: "7c00",
    dx: "0080",
    flags: "0002",
    ...{ cs: "0000", ds: "0000", es: "0000", fs: "0000", gs: "0000", ss: "0000" },
    cr0: "60000010",
    efer: "00000000",
  });
});

kvmTest("a flat32 guest finds the registers that it may expect, and a good GDT", async () => {
  assertEquals(await registers("regs.bin32"), {
    esp: "00100000",
    eflags: "00000002",
    ...{ cs: "0008", ds: "0010", es: "0010", fs: "0010", gs: "0010", ss: "0010" },
    ...{ cr0: "60000011", cr3: "00000000", cr4: "00000000", efer: "00000000" },
    reload: "ok",
  });
});

kvmTest("a flat64 guest finds the registers that it may expect, and a good GDT", async () => {
  const { cr3, ...others } = await registers("regs.bin64");
  assertMatch(cr3!, /^0000000000001000$/);
  assertEquals(others, {
    rsp: "0000000000100000",
    rflags: "0000000000000002",
    ...{ cs: "0008", ds: "0010", es: "0010", fs: "0010", gs: "0010", ss: "0010" },
    cr0: "00000000e0000011",
    cr4: "0000000000000020",
    efer: "00000500",
    reload: "ok",
  });
});

kvmTest("string I/O is done whole, up and down, in each size", async () => {
  const { output, exits } = await traced("strio.bin64");
  assertEquals(output.split("\n"), [
    "outsb to 0xe9",
    "outsb to 0x402",
    "outsb down",
    "insb ffffff",
    "insw ffffffffffff",
    "insd ffffffffffffffffffffffff",
    "",
  ]);
  const written = exits.flatMap((exit) =>
    exit.reason === "IO" && exit.port === 0x1234 && exit.direction === "out" ? [...exit.data] : []
  );
  assertEquals(String.fromCharCode(...written), "abcdefABCDEFGHIJKL");
});

kvmTest("a Multiboot kernel finds what the loader hands over", async () => {
  const modules = [
    { name: "one.txt", bytes: new TextEncoder().encode("first line\nsecond line") },
    { name: "two.bin", bytes: new Uint8Array(5000).fill(0x41), arguments: "a=1 b" },
  ];
  using test = new TestMachine("mb-info.mb", { commandLine: "quiet root=/dev/ram", modules });
  assertEquals(await test.run(), { kind: "halt" });
  const lines = test.output.trim().split("\n");
  const found = (start: string) => lines.filter((line) => line.startsWith(start));
  assertEquals(found("magic="), ["magic=2badb002"]);
  assertEquals(found("loader="), ["loader=vmexit"]);
  assertEquals(found("cmdline="), ["cmdline=mb-info.mb quiet root=/dev/ram"]);
  assertEquals(found("mem_"), ["mem_lower=0000027f", "mem_upper=00003c00"]);
  assertEquals(found("mmap").at(-1), "mmap base=0000000000100000 length=0000000000f00000 type=1");
  assertEquals(found("module").map((line) => line.replace(/^.* string=/, "")), [
    "one.txt",
    "two.bin a=1 b",
  ]);
  assertEquals(found("content="), ["content=first line", `content=${"A".repeat(5000)}`]);
});

kvmTest("CPUID shows the processor and the hypervisor", async () => {
  const { vendor, hypervisor } = await registers("cpuid.bin64");
  assertMatch(vendor!, /^[A-Za-z !]{12}$/);
  assertGreater(hypervisor!.length, 0);
});

kvmTest("MSRs have the values that they should have at entry", async () => {
  const { apic_base, efer, tsc } = await registers("msr.bin64");
  assertEquals([apic_base, efer], ["00000000fee00900", "0000000000000500"]);
  assertGreater(BigInt(`0x${tsc}`), 0n);
});

kvmTest("an unknown MSR is a #GP", async () => {
  using fatal = new TestMachine("msr-unknown.bin64");
  const outcome = await fatal.run();
  assert(outcome.kind === "shutdown" || outcome.kind === "halt", "KVM may ignore unknown MSRs");
});

kvmTest("an exit is told with RIP, and with the device that served it", async () => {
  const { exits, handlers } = await traced("hello.bin64");
  assert(exits.every(({ rip }) => rip! >= 0x10_0000n && rip! < 0x10_0100n));
  assertEquals([...new Set(handlers)], ["uart0", undefined]);
  assertEquals((await traced("storm-debugcon.bin64", { maxExits: 1 })).handlers, ["debugcon"]);
  assertEquals((await traced("exit.bin64")).handlers, ["debug-exit"]);
  assertEquals((await traced("storm.bin64", { maxExits: 1 })).handlers, [undefined]);
});

kvmTest("details count ports and pages and measure the time in the guest", async () => {
  using test = new TestMachine("mmio.bin64", { detailed: true });
  const start = performance.now();
  await test.run();
  const { statistics } = test.machine;
  assertEquals(statistics.byPage(), [[0xd000_0000, 8]]);
  assertEquals(statistics.byPort(), [[0x3f8, 39]]);
  assertGreater(statistics.guestMs, 0);
  assertLess(statistics.guestMs, performance.now() - start);
});

kvmTest("a run ends after as many exits as it may have", async () => {
  using test = new TestMachine("storm.bin64", { maxExits: 10 });
  assertEquals(await test.run(), { kind: "max_exits", limit: 10 });
  assertEquals(test.machine.statistics.exits, 10);
});

kvmTest("a run that is stopped ends with the first outcome that it was given", async () => {
  using test = new TestMachine("storm.bin64");
  test.machine.stop({ kind: "interrupted", signal: "SIGINT" });
  test.machine.stop({ kind: "halt" });
  assertEquals(await test.run(), { kind: "interrupted", signal: "SIGINT" });
});

for (
  const [what, listing, type] of [
    ["that spins", "eb fe", "bare"],
    ["that halts inside the kernel", "fb f4 eb fd", "pc"], // sti; hlt; jmp $-1
  ] as const
) {
  kvmTest(`the time that a guest ${what} may have runs out, again and again`, () => {
    using test = new TestMachine(code(listing), { type, protocol: "flat16" });
    for (const milliseconds of [20, 1, 0]) {
      const start = performance.now();
      assertEquals(test.machine.runFor(milliseconds), undefined);
      const ms = performance.now() - start;
      assertGreaterOrEqual(ms, milliseconds);
      assertLess(ms, GENEROUS_MS);
    }
    assertEquals(test.machine.statistics.exits, 0, "an alarm is no exit");
  });
}

kvmTest("a guest resumes where it was when its time ran out, and loses nothing", () => {
  using test = new TestMachine("storm-debugcon.bin64");
  let slices = 0;
  while (!test.machine.runFor(5)) slices++;
  assertGreater(slices, 1);
  assertEquals(test.output, "x".repeat(100_000));
});

kvmTest("a guest that ends by itself needs no limit", () => {
  using test = new TestMachine("hello.bin64");
  assertEquals(test.machine.runFor(Infinity), { kind: "halt" });
});

kvmTest("a PC has its timer and interrupt controllers in the kernel", async () => {
  // in al, 0x40; in al, 0x21; out 0xf4, al
  const { exits } = await traced(code("e4 40 e4 21 e6 f4"), { type: "pc", protocol: "flat16" });
  assertEquals(exits.map((exit) => exit.reason === "IO" && exit.port), [0xf4]);
});

kvmTest("what nobody claims is ignored, warned of once, or ends the run", async () => {
  const warned: string[] = [];
  const onUnclaimed = (space: string, address: number) =>
    warned.push(`${space} ${address.toString(16)}`);
  assertEquals((await traced("unclaimed.bin64", { onUnclaimed })).outcome, { kind: "halt" });
  assertEquals(warned, [], "ignored");

  const options = { unclaimed: "warn", onUnclaimed } as const;
  assertEquals((await traced("unclaimed.bin64", options)).outcome, { kind: "halt" });
  assertEquals((await traced("mmio.bin64", options)).outcome, { kind: "halt" });
  assertEquals(warned, ["port 1234", "gpa d0000000"]);

  const stopped = (await traced("unclaimed.bin64", { unclaimed: "stop" })).outcome;
  assert(stopped.kind === "unhandled" && stopped.exit.reason === "IO");
  assertEquals([stopped.exit.port, stopped.exit.direction], [0x1234, "out"]);
  const mmio = (await traced("mmio.bin64", { unclaimed: "stop" })).outcome;
  assert(mmio.kind === "unhandled" && mmio.exit.reason === "MMIO");
  assertEquals(mmio.exit.gpa, 0xd000_0000n);
});

kvmTest("a guest that touches hundreds of ports is warned of 32 times", async () => {
  let warnings = 0;
  // mov dx, 0xff00; in al, dx; inc dx; jnz $-2; hlt
  const manyPorts = code("ba 00 ff ec 42 75 fc f4");
  const { outcome } = await traced(manyPorts, {
    protocol: "flat16",
    unclaimed: "warn",
    onUnclaimed: () => warnings++,
  });
  assertEquals([outcome.kind, warnings], ["halt", 32]);
});

kvmTest("several machines live on one thread, and go in any order", async () => {
  const first = new TestMachine("spin.bin64");
  using second = new TestMachine("spin.bin64");
  using third = new TestMachine("hello.bin64");
  assertEquals(first.machine.runFor(1), undefined);
  first[Symbol.dispose]();
  assertEquals(second.machine.runFor(1), undefined);
  assertEquals(await third.run(), { kind: "halt" });
});

kvmTest("a disposed machine is gone: descriptors, memory and alarm", () => {
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = open();
  const { machine } = new TestMachine("hello.bin64");
  machine[Symbol.dispose]();
  machine[Symbol.dispose]();
  assertEquals(open(), before);
  assertThrows(() => machine.runFor(1), DisposedError);
  assertThrows(() => machine.runFor(Infinity), DisposedError);
  assertThrows(() => machine.vcpu.regs(), DisposedError);
  assertThrows(() => machine.memory.read(0n, 1), DisposedError);
});

kvmTest("a machine that cannot be made leaves nothing open", () => {
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = open();
  const make = (options: Partial<ConstructorParameters<typeof VirtualMachine>[0]>) => () =>
    new VirtualMachine({ memoryBytes: 1 << 20, ...options });
  assertThrows(make({ memoryBytes: 4097 }), SystemError, "KVM_SET_USER_MEMORY_REGION");
  assertThrows(make({ memoryBytes: 2 ** 52 }), SystemError, "mmap");
  assertThrows(make({ kvmPath: "/dev/null" }), KvmUnavailableError, "is not a KVM device");
  const breakpoints = [1n, 2n, 3n, 4n, 5n];
  assertThrows(make({ breakpoints }), RangeError, "x86 has 4 breakpoints, got 5");
  assertThrows(() => new TestMachine(new Uint8Array(), { protocol: "flat16" }), ImageError);
  assertEquals(open(), before);
});
