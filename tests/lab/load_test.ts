/**
 * Loading images: what a machine needs before it runs, and how the next load resets it.
 *
 * @module
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ImageError, type LoadOptions, Machine } from "../../src/mod.ts";
import { code } from "../lib/guest.ts";
import { imageFile } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { GENEROUS_MS } from "../lib/machine.ts";

const HALT = code("f4");

kvmTest("a machine without an image says so instead of running", async () => {
  using vm = Machine.create({ memory: "2M" });
  assertThrows(() => vm.runSync(), Error, "nothing is loaded: call load(image)");
  assertThrows(() => vm.exits().next(), Error, "nothing is loaded");
  await assertRejects(() => vm.run(), Error, "nothing is loaded");
});

kvmTest("a machine whose registers were set by hand runs without an image", () => {
  using vm = Machine.create({ memory: "2M" });
  const { regs, sregs, memory } = { ...vm.vcpu, memory: vm.memory };
  memory.write(0x1000, HALT);
  sregs.cs = { ...sregs.cs, base: 0n, selector: 0 };
  regs.rip = 0x1000n;
  assertEquals(vm.runSync(), { kind: "halt" });
});

kvmTest("invalid options of an image are refused", () => {
  using vm = Machine.create({ memory: "2M" });
  const mistaken = { protocol: "flat23" } as unknown as LoadOptions;
  assertThrows(() => vm.load(HALT, mistaken), RangeError, 'protocol: "flat23" is unknown; choose');
  const path = "hello.elf" as unknown as Uint8Array;
  assertThrows(() => vm.load(path), TypeError, "load: bytes are a Uint8Array");
  assertThrows(() => vm.load(HALT, { protocol: "flat16", entry: -1 }), RangeError, "entry: -1");
  assertThrows(() => vm.load(HALT, { protocol: "flat16", loadAddress: 0.5 }), RangeError, "0.5");
});

kvmTest("addresses are numbers or bigints", () => {
  for (const at of [0x2_0000, 0x2_0000n]) {
    using vm = Machine.create({ memory: "2M" });
    vm.load(HALT, { protocol: "flat32", loadAddress: at, entry: at });
    assertEquals(vm.vcpu.regs.rip, 0x2_0000n);
    vm.vcpu.breakpoints = [at];
    assertEquals(vm.vcpu.breakpoints, [0x2_0000n]);
    assertEquals(vm.vcpu.disassemble(at), "hlt");
    assertEquals(vm.vcpu.translate(at), 0x2_0000n);
    assertEquals(vm.memory.read(at, 1), vm.vcpu.read(at, 1));
  }
});

kvmTest("load() resets a machine that a loop left at an exit", () => {
  using vm = Machine.create({ memory: "1M" });
  vm.load(code("b8 34 12 e4 10 f4"), { protocol: "flat16" }); // mov ax, 0x1234; in al, 0x10
  const { regs } = vm.vcpu;
  for (const exit of vm.exits()) {
    vm.memory.setU32(0x2000, 1);
    vm.load(code("40 f4"), { protocol: "flat16" }); // inc ax; hlt
    assertThrows(() => exit.serve(), Error, "the guest has run on since this exit");
    break;
  }
  assertEquals(vm.memory.u32(0x2000), 0);
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals([regs.rax, regs.rip], [1n, 0x7c02n]);
});

kvmTest("a loop continues with what is loaded in its body", () => {
  using vm = Machine.create({ memory: "1M" });
  vm.load(code("e6 10 f4"), { protocol: "flat16" }); // out 0x10, al; hlt
  const ports: number[] = [];
  for (const exit of vm.exits()) {
    if (exit.reason !== "IO") continue;
    ports.push(exit.port);
    if (exit.port === 0x10) vm.load(code("e6 11 f4"), { protocol: "flat16" });
  }
  assertEquals(ports, [0x10, 0x11]);
});

kvmTest("load() keeps handlers, steps and breakpoints", () => {
  using vm = Machine.create({ memory: "1M" });
  const written: number[] = [];
  vm.onPort(0x10, { write: (value) => void written.push(value) });
  vm.onException(1, (_exit, { regs }) => void written.push(Number(regs.rip)));
  vm.vcpu.breakpoints = [0x7c02];
  for (const value of ["01", "02"]) {
    vm.load(code(`b0 ${value} e6 10 f4`), { protocol: "flat16" }); // mov al, value; out 0x10, al
    assertEquals(vm.runSync(), { kind: "halt" });
  }
  assertEquals(written, [0x7c02, 1, 0x7c02, 2]);
});

kvmTest("load() makes holes anew and forgets what was to be injected", () => {
  using vm = Machine.create({ memory: "2M", holes: ["0x20000+4K:lazy"] });
  let faults = 0;
  vm.onMemoryFault(() => void faults++);
  for (let round = 1; round <= 2; round++) {
    // mov eax, [0x20000]; mov byte [0x20000], 1; hlt
    vm.load(code("a1 00 00 02 00 c6 05 00 00 02 00 01 f4"), { protocol: "flat32" });
    assertEquals(vm.runSync(), { kind: "halt" });
    assertEquals([vm.vcpu.regs.rax, faults], [0n, round]);
    vm.vcpu.interrupt(0x21);
  }
});

kvmTest("an image that cannot be loaded changes nothing", () => {
  using vm = Machine.create({ memory: "1M" });
  vm.load(code("e6 10 40 f4"), { protocol: "flat16" }); // out 0x10, al; inc ax; hlt
  for (const _exit of vm.exits()) break;
  assertThrows(() => vm.load(code("00"), { protocol: "elf" }), ImageError);
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 1n);
});

kvmTest("a handler cannot load", () => {
  using vm = Machine.create({ memory: "1M" });
  vm.load(code("e6 10 f4"), { protocol: "flat16" });
  vm.onPort(0x10, { write: () => vm.load(HALT, { protocol: "flat16" }) });
  assertThrows(() => vm.runSync(), Error, "load: the machine is running");
});

kvmTest("load() resets all vCPUs and devices of a PC, wherever they are", () => {
  using vm = Machine.create({ memory: "16M", machine: "pc", cpus: 2 });
  const [first, second] = vm.vcpus;
  for (let round = 0; round < 3; round++) {
    vm.load(imageFile("smp/hello.mb"));
    assertEquals([second!.regs.rip, second!.regs.r15], [0xfff0n, 0n]);
    assertEquals(first!.regs.r15, 0n);
    let text = "";
    const cpus = new Set<number>();
    for (const exit of vm.exits({ timeoutMs: GENEROUS_MS })) {
      for (const { regs } of vm.vcpus) regs.r15 = 1n;
      if (exit.reason !== "IO" || exit.port !== 0x3f8) continue;
      cpus.add(exit.vcpu.id);
      text += String.fromCharCode(...exit.data);
      if (round < 2 && exit.vcpu.id === round) break; // at an exit of each vCPU
    }
    if (round === 2) assertEquals(cpus, new Set([0, 1]), text);
  }
});
