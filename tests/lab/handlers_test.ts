/**
 * Handlers in the place of devices, and runs that leave exits to them.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type AccessHandler,
  HoleError,
  Machine,
  type MachineOptions,
  UnansweredExitError,
} from "../../src/mod.ts";
import { code } from "../lib/guest.ts";
import { imageFile } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";

/** A machine that runs a few instructions in real mode. */
function machine(listing: string): Machine {
  const vm = Machine.create({ memory: "1M" });
  vm.load(code(listing), { protocol: "flat16" });
  return vm;
}

/** A handler that writes down what it is asked. */
function recorder(answer = 0): AccessHandler & { readonly log: unknown[] } {
  const log: unknown[] = [];
  return {
    log,
    read: (access) => (log.push(["read", access]), answer),
    write: (value, access) => void log.push(["write", value, access]),
  };
}

kvmTest("a port's handler gets each access in its range", async () => {
  using vm = machine("b8 22 11 e7 12 e4 13 f4"); // mov ax, 0x1122; out 0x12, ax; in al, 0x13; hlt
  const handler = recorder(0x1ff);
  vm.onPort({ start: 0x10, size: 4 }, handler);
  assertEquals(await vm.run(), { kind: "halt" });
  assertEquals(handler.log, [
    ["write", 0x1122, { address: 0x12, offset: 2, sizeBytes: 2 }],
    ["read", { address: 0x13, offset: 3, sizeBytes: 1 }],
  ]);
  assertEquals(vm.vcpu.regs.rax & 0xffn, 0xffn);
});

kvmTest("a handler takes the place of a device, and of an earlier handler", async () => {
  using vm = Machine.create({ memory: "16M", output: () => assert(false, "COM1 is replaced") });
  vm.load(imageFile("hello.elf"));
  vm.onPort(0x3f8, { write: () => assert(false, "this handler is replaced") });
  let text = "";
  vm.onPort(0x3f8, { write: (value) => void (text += String.fromCharCode(value)) });
  assertEquals(await vm.run(), { kind: "halt" });
  assertEquals(text, "Hello, KVM!\n");
});

kvmTest("a handler that does not read leaves reads unanswered", async () => {
  using vm = machine("e4 10 f4");
  vm.onPort(0x10, { write: () => {} });
  await assertRejects(() => vm.run(), UnansweredExitError, "port 0x10");
});

kvmTest("a handler that forgets to give a value is an error, and not a value", () => {
  using vm = machine("e4 10 f4");
  const forgetful = (() => {}) as unknown as () => number;
  vm.onPort(0x10, { read: forgetful });
  assertThrows(
    () => vm.runSync(),
    TypeError,
    "onPort(0x10): read() returned undefined, not an integer",
  );
  vm.onPort(0x10, { read: () => -2 });
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 0xfen);
});

kvmTest("ports that do not exist are refused", () => {
  using vm = machine("f4");
  assertThrows(() => vm.onPort(0x10000, {}), RangeError, "no such ports");
});

kvmTest("a handler in RAM, where accesses do not exit, is refused", () => {
  using vm = Machine.create({
    memory: "2M",
    holes: ["0x20000+4K:noslot", "0x30000+4K:romslot"],
  });
  const handle = (start: number | bigint, size: number | bigint) =>
    vm.onMmio({ start, size }, { read: () => 7, write() {} });
  for (const [start, size] of [[0x1000, 4], [0x1f_ffffn, 2n], [0x1_fff8, 16]] as const) {
    assertThrows(() => handle(start, size), RangeError, "is in RAM");
  }
  handle(0x2_0000, 0x1000);
  handle(0x3_0000n, 0x1000n);
  handle(0x20_0000, 0x1000);
  vm.load(code("a1 00 00 02 00 f4"), { protocol: "flat32" }); // mov eax, [0x20000]; hlt
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 7n);
});

kvmTest("an invalid range is refused", () => {
  using vm = machine("f4");
  for (const start of [-1, 1.5, NaN, 2 ** 60, -1n, 1n << 64n]) {
    assertThrows(() => vm.onMmio({ start, size: 1 }, {}), RangeError, "onMmio: ");
  }
  assertThrows(() => vm.onMmio({ start: 2n ** 52n, size: 1 }, {}), RangeError, "no such addresses");
  assertThrows(() => vm.onPort({ start: 0x10, size: 0 }, {}), RangeError, "no such ports");
  vm.onPort({ start: 0x10n, size: 4n }, {});
});

kvmTest("an MMIO handler gets each access in its range", async () => {
  using vm = Machine.create({ memory: "2M" });
  // mov [0xd0000004], eax; mov ax, [0xd0000008]; hlt
  vm.load(code("a3 04 00 00 d0 66 a1 08 00 00 d0 f4"), { protocol: "flat32" });
  vm.vcpu.regs.rax = 0x1122_3344n;
  const handler = recorder(0x55aa);
  vm.onMmio({ start: 0xd000_0000, size: 0x1000 }, handler);
  assertEquals(await vm.run(), { kind: "halt" });
  assertEquals(handler.log, [
    ["write", 0x1122_3344, { address: 0xd000_0004, offset: 4, sizeBytes: 4 }],
    ["read", { address: 0xd000_0008, offset: 8, sizeBytes: 2 }],
  ]);
  assertEquals(vm.vcpu.regs.rax, 0x1122_55aan);
});

kvmTest("an unanswered read of MMIO is an error that says where", () => {
  using vm = Machine.create({ memory: "2M" });
  vm.load(code("a1 00 00 00 d0 f4"), { protocol: "flat32" });
  const error = assertThrows(() => vm.runSync(), UnansweredExitError);
  assert(error.message.includes("the 4-byte read of GPA 0xd0000000"), error.message);
});

kvmTest("what a handler throws comes out of the run, and the exit stays pending", async () => {
  using vm = machine("e4 10 f4");
  let isBroken = true;
  vm.onPort(0x10, {
    read() {
      if (isBroken) throw new Error("out of order");
      return 3;
    },
  });
  await assertRejects(() => vm.run(), Error, "out of order");
  isBroken = false;
  assertEquals(await vm.run(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 3n);
});

kvmTest(
  "a register that KVM does not know is answered by its handler, others are a #GP",
  async () => {
    for (const [index, kind] of [[0x12345, "halt"], [0x12346, "shutdown"]] as const) {
      using vm = Machine.create({ memory: "16M" });
      vm.load(imageFile("msr-unknown.bin64"), { protocol: "flat64" });
      vm.onMsr(index, { read: () => 0xc0ffeen });
      assertEquals((await vm.run()).kind, kind);
    }
  },
);

kvmTest("an access to an unknown register is an exit that can be answered", () => {
  let text = "";
  const output = (byte: number): void => void (text += String.fromCharCode(byte));
  using vm = Machine.create({ memory: "16M", output });
  vm.load(imageFile("msr-unknown.bin64"), { protocol: "flat64" });
  for (const exit of vm.exits()) {
    if (exit.reason === "X86_RDMSR") exit.answer(0x1234_5678n);
  }
  assertEquals(text, "read 12345678\n");
});

kvmTest("a WRMSR reaches its handler, which may refuse it", () => {
  for (const accepts of [true, false]) {
    using vm = Machine.create({ memory: "2M" });
    // mov ecx, 0x12345; mov eax, 7; xor edx, edx; wrmsr; hlt
    vm.load(code("b9 45 23 01 00 b8 07 00 00 00 31 d2 0f 30 f4"), { protocol: "flat64" });
    const values: bigint[] = [];
    vm.onMsr(0x12345, { write: (value) => (values.push(value), accepts) });
    assertEquals(vm.runSync().kind, accepts ? "halt" : "shutdown");
    assertEquals(values, [7n]);
  }
});

kvmTest("a handler of memory faults decides", async () => {
  for (const [action, kind] of [[undefined, "halt"], ["stop", "memory_fault"]] as const) {
    using vm = Machine.create({ memory: "2M", holes: ["0x20000+4K:lazy"] });
    vm.load(code("a1 00 00 02 00 f4"), { protocol: "flat32" });
    const seen: unknown[] = [];
    vm.onMemoryFault(({ gpa, access }) => (seen.push([gpa, access]), action));
    assertEquals((await vm.run()).kind, kind);
    assertEquals(seen, [[0x20000n, "read"]]);
  }
});

kvmTest("a run can be ended from a timer, and taken up again", async () => {
  using vm = machine("40 eb fd"); // inc ax; jmp back
  for (let i = 0; i < 2; i++) {
    setTimeout(() => vm.stop(), 1);
    assertEquals(await vm.run({ timeoutMs: 20_000 }), { kind: "stopped" });
  }
  assert(vm.vcpu.regs.rip >= 0x7c00n && vm.vcpu.regs.rip <= 0x7c01n);
});

kvmTest("a run can be ended from a signal's listener", async () => {
  using vm = machine("eb fe");
  const stop = (): void => vm.stop();
  Deno.addSignalListener("SIGUSR2", stop);
  try {
    Deno.kill(Deno.pid, "SIGUSR2");
    assertEquals(await vm.run({ timeoutMs: 20_000 }), { kind: "stopped" });
  } finally {
    Deno.removeSignalListener("SIGUSR2", stop);
  }
});

kvmTest("to dispose of a machine ends its run, from a handler and from a timer", async () => {
  const own = machine("e6 10 f4");
  own.onPort(0x10, { write: () => own[Symbol.dispose]() });
  assertEquals(own.runSync(), { kind: "stopped" });
  const other = machine("eb fe");
  setTimeout(() => other[Symbol.dispose](), 1);
  assertEquals(await other.run({ timeoutMs: 20_000 }), { kind: "stopped" });
  for (const vm of [own, other]) {
    assertThrows(() => vm.vcpu.regs.rip, Error, "vCPU 0 was used after it was disposed");
  }
});

kvmTest("every use of a disposed machine is a typed error", () => {
  const vm = machine("f4");
  vm[Symbol.dispose]();
  vm[Symbol.dispose]();
  vm.stop();
  for (
    const use of [
      () => vm.runSync(),
      () => vm.exits().next(),
      () => vm.load(code("f4")),
      () => vm.memory,
      () => vm.onPort(0x10, {}),
      () => vm.vcpu.interrupt(0x21),
      () => vm.vcpu.nmi(),
    ]
  ) assertThrows(use, Error, "was used after it was disposed");
});

kvmTest("a timeout that is not a time is refused", () => {
  using vm = machine("f4");
  for (const timeoutMs of [NaN, -1]) {
    assertThrows(() => vm.runSync({ timeoutMs }), RangeError, "timeoutMs");
    assertThrows(() => vm.exits({ timeoutMs }).next(), RangeError, "timeoutMs");
  }
});

kvmTest("a machine runs once at a time", async () => {
  using vm = machine("e6 10 f4");
  vm.onPort(0x10, {
    write: () => void assertThrows(() => vm.runSync(), Error, "the machine is running already"),
  });
  assertEquals(await vm.run(), { kind: "halt" });
});

kvmTest("output goes to a stream or to a function", () => {
  const bytes: number[] = [];
  for (
    const output of [
      (byte: number) => void bytes.push(byte),
      { writeSync: (chunk: Uint8Array) => bytes.push(...chunk) },
    ]
  ) {
    using vm = Machine.create({ memory: "16M", output });
    vm.load(imageFile("hello.elf"));
    vm.runSync();
  }
  assertEquals(String.fromCharCode(...bytes), "Hello, KVM!\n".repeat(2));
});

kvmTest("vCPUs on their own threads are stopped, read and resumed", async () => {
  using vm = Machine.create({ memory: "16M", machine: "pc", cpus: 2 });
  vm.load(imageFile("smp/hello.mb"));
  let written = 0;
  vm.onPort(0x3f8, {
    read: () => 0,
    write() {
      if (++written % 8 === 0) vm.stop();
    },
  });
  let stops = 0;
  for (;;) {
    const outcome = await vm.run({ timeoutMs: 20_000 });
    if (outcome.kind !== "stopped") {
      assertEquals(outcome.kind, "debug_exit");
      break;
    }
    stops++;
    assert(vm.vcpus.every(({ regs }) => regs.rflags !== 0n));
  }
  assert(stops > 3);
  assertEquals(written, stops * 8 + written % 8);
});

kvmTest("a handler can look at its own vCPU while the others run", () => {
  using vm = Machine.create({ memory: "16M", machine: "pc", cpus: 2 });
  vm.load(imageFile("smp/hello.mb"));
  // The first vCPU writes here at the end, when the other halts in the kernel.
  vm.onPort(0xf4, {
    write() {
      assert(vm.vcpus[0]!.regs.rip > 0n);
      assertThrows(() => vm.vcpus[1]!.regs.rip, Error, "vCPU 1 is running");
      vm.stop();
    },
  });
  assertEquals(vm.runSync({ timeoutMs: 20_000 }).kind, "stopped");
  assert(vm.vcpus[1]!.regs.rip > 0n);
});

kvmTest("an interrupt on a PC comes by the local APIC", () => {
  using vm = Machine.create({ memory: "16M", machine: "pc" });
  // Mask the PICs (the PIT ticks), enable the local APIC, load an IDT, sti, hlt.
  vm.load(
    code("b0 ff e6 21 e6 a1 c7 05 f0 00 e0 fe ff 01 00 00 0f 01 1d 00 05 00 00 fb f4 eb fd"),
    { protocol: "flat32" },
  );
  vm.memory.write(0x500n, code("ff 07 00 06 00 00")); // the IDT: limit 0x7ff, base 0x600
  vm.memory.write(0x600n + 0x50n * 8n, code("00 05 08 00 00 8e 11 00")); // vector 0x50: 0x110500
  vm.memory.write(0x11_0500n, code("43 e6 11 f4")); // inc ebx; out 0x11, al; hlt
  vm.vcpu.regs.rbx = 0n;
  vm.onPort(0x11, { write: () => vm.stop() });
  assertEquals(vm.runSync({ timeoutMs: 50 }).kind, "timeout");
  vm.vcpu.interrupt(0x50);
  assertEquals(vm.runSync({ timeoutMs: 20_000 }).kind, "stopped");
  assertEquals(vm.vcpu.regs.rbx, 1n);
});

kvmTest("numbers serve as well as bigints in handlers, holes and registers' values", () => {
  using vm = Machine.create({
    memory: "2M",
    holes: [{ gpa: 0x2_0000n, sizeBytes: 0x1000, kind: "noslot" }],
  });
  vm.load(code("b9 45 23 01 00 0f 32 f4"), { protocol: "flat32" }); // rdmsr of 0x12345; hlt
  vm.onMsr(0x12345, { read: () => 42 });
  vm.vcpu.setMsr(0x174, 8);
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals([vm.vcpu.regs.rax, vm.vcpu.msr(0x174)], [42n, 8n]);
});

Deno.test("invalid options are refused", () => {
  assertThrows(() => Machine.create({ memory: "12 apples" }), RangeError, "memory: 12 apples");
  assertThrows(() => Machine.create({ memory: 4095 }), RangeError, "whole number of pages");
  assertThrows(() => Machine.create({ memory: "64X" }), RangeError, "memory: 64X is not a size");
  assertThrows(() => Machine.create({ memory: 0 }), RangeError);
  assertThrows(() => Machine.create({ cpus: 2 }), RangeError, 'make it a "pc"');
  for (const cpus of [0, 1.5, NaN, 300]) {
    assertThrows(() => Machine.create({ machine: "pc", cpus }), RangeError, "1 to 255");
  }
  const mistaken = { machine: "laptop" } as unknown as MachineOptions;
  assertThrows(() => Machine.create(mistaken), RangeError, "choose from bare, pc");
  for (const hole of ["0x1000", "0x1000+4K:soft", "x+4K:none", "0x1000+4K:lazy:file"]) {
    assertThrows(() => Machine.create({ memory: "1M", holes: [hole] }), HoleError, hole);
  }
});
