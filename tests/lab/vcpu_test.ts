/**
 * A vCPU of an experiment: registers, memory by linear address,
 * debugging, and what can be injected.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Machine } from "../../src/mod.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

/** A machine that runs a few instructions in real mode. */
function machine(listing: string): Machine {
  const vm = Machine.create({ memory: "1M" });
  vm.load(code(listing), { protocol: "flat16" });
  return vm;
}

/** Has a vector of real mode lead to a handler: `inc bx; out 0x11, al; iret`. */
function onVector(vm: Machine, vector: number): void {
  vm.memory.write(BigInt(vector * 4), code("00 05 00 00"));
  vm.memory.write(0x500n, code("43 e6 11 cf"));
}

/** Runs until the handler of a vector was there. @returns how often it was */
function runToHandler(vm: Machine): bigint {
  for (const exit of vm.exits({ timeoutMs: 5000 })) {
    if (exit.reason === "IO" && exit.port === 0x11) break;
  }
  return vm.vcpu.regs.rbx;
}

kvmTest("registers are read and written by name, before and after a run", () => {
  using vm = machine("01 d8 f4"); // add ax, bx; hlt
  const { regs } = vm.vcpu;
  regs.rax = 1n;
  regs.rbx = 2n;
  assertEquals([regs.rip, regs.rax, regs.rbx], [0x7c00n, 1n, 2n]);
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals([regs.rip, regs.rax], [0x7c03n, 3n]);
});

kvmTest("all registers can be listed", () => {
  using vm = machine("f4");
  assertEquals(Object.keys(vm.vcpu.regs).length, 18);
  assertEquals({ ...vm.vcpu.regs }.rip, 0x7c00n);
  assertEquals({ ...vm.vcpu.sregs }.cs.selector, 0);
});

kvmTest("R7: registers written at an exit of a read are set after the answer", () => {
  using vm = machine("e4 10 f4"); // in al, 0x10; hlt
  for (const exit of vm.exits()) {
    if (exit.reason !== "IO") continue;
    exit.answer(0x55);
    vm.vcpu.regs.rcx = 7n;
    vm.vcpu.regs.rax = 0x1234n;
    assertEquals([vm.vcpu.regs.rcx, vm.vcpu.regs.rax], [7n, 0x1234n]);
  }
  assertEquals([vm.vcpu.regs.rcx, vm.vcpu.regs.rax], [7n, 0x1234n]);
  assertEquals(vm.vcpu.regs.rip, 0x7c03n);
});

kvmTest("R7: the guest resumes at a RIP that is written at an exit", () => {
  using vm = machine("e6 10 f4 40 f4"); // out 0x10, al; hlt; inc ax; hlt
  for (const exit of vm.exits()) if (exit.reason === "IO") vm.vcpu.regs.rip = 0x7c03n;
  assertEquals([vm.vcpu.regs.rip, vm.vcpu.regs.rax], [0x7c05n, 1n]);
});

kvmTest("R7: an instruction that a handler stopped at is finished after the run", () => {
  using vm = machine("e4 10 f4"); // in al, 0x10; hlt
  vm.onPort(0x10, {
    read() {
      vm.stop();
      return 0x2a;
    },
  });
  assertEquals(vm.runSync(), { kind: "stopped" });
  assertEquals([vm.vcpu.regs.rax, vm.vcpu.regs.rip], [0x2an, 0x7c02n]);
  assertEquals(vm.runSync(), { kind: "halt" });
});

kvmTest("R7: a handler's registers hold behind the instruction that called it", () => {
  using vm = machine("e6 10 f4 40 f4"); // out 0x10, al; hlt; inc ax; hlt
  vm.onPort(0x10, { write: () => void (vm.vcpu.regs.rip = 0x7c03n) });
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 1n);
});

kvmTest(
  "R7: registers written between the parts of an instruction take effect at its end",
  () => {
    using vm = machine("bf 00 05 b9 00 20 fc ba 10 00 f3 6c f4"); // rep insb
    let parts = 0;
    for (const exit of vm.exits()) {
      if (exit.reason !== "IO") continue;
      if (++parts === 1) vm.vcpu.regs.rbx = 0x77n;
      exit.answer(1);
    }
    assert(parts > 1);
    assertEquals([vm.vcpu.regs.rbx, vm.vcpu.regs.rcx], [0x77n, 0n]);
  },
);

kvmTest("system registers are read whole and written in part", () => {
  using vm = Machine.create({ memory: "2M" });
  vm.load(code("64 8a 04 25 00 00 00 00 f4"), { protocol: "flat64" }); // mov al, fs:[0]; hlt
  vm.memory.write(0x8000n, code("2a"));
  const { sregs } = vm.vcpu;
  sregs.fs = { ...sregs.fs, base: 0x8000n };
  assertEquals(sregs.fs.base, 0x8000n);
  assertThrows(() => Object.assign(sregs.fs, { base: 0n }), TypeError, "read only");
  assertThrows(() => Object.assign(sregs, { cr5: 0n }), TypeError, "cr5");
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 0x2an);
});

kvmTest("memory is read and written by linear address, across pages that are apart", () => {
  using vm = Machine.create({ memory: "4M" });
  vm.load(code("f4"), { protocol: "flat64" });
  // Two pages of a separate table: linear 0x400000 -> 0x301000, 0x401000 -> 0x300000.
  const { sregs } = vm.vcpu;
  const entry = (gpa: bigint) => new Uint8Array(new BigUint64Array([gpa | 7n]).buffer);
  const pml4 = sregs.cr3;
  const pdpt = new DataView(vm.memory.read(pml4, 8).buffer).getBigUint64(0, true) & ~0xfffn;
  const directory = new DataView(vm.memory.read(pdpt, 8).buffer).getBigUint64(0, true) & ~0xfffn;
  vm.memory.write(0x302000n, entry(0x301000n));
  vm.memory.write(0x302008n, entry(0x300000n));
  vm.memory.write(directory + 16n, entry(0x302000n));
  vm.vcpu.write(0x400ffen, code("11 22 33 44"));
  assertEquals(vm.memory.read(0x301ffen, 2), code("11 22"));
  assertEquals(vm.memory.read(0x300000n, 2), code("33 44"));
  assertEquals(vm.vcpu.read(0x400ffen, 4), code("11 22 33 44"));
  assertEquals(vm.vcpu.translate(0x401000n), 0x300000n);
  assertEquals(vm.vcpu.translate(0x402000n), undefined);
  assertThrows(() => vm.vcpu.read(0x401fffn, 2), Error, "no translation of GVA: [0x402000");
});

kvmTest("instructions are shown as the processor would read them", () => {
  using vm = machine("b8 34 12 f4");
  assertEquals(vm.vcpu.disassemble(), "mov ax, 0x1234");
  assertEquals(vm.vcpu.disassemble(0x7c03n), "hlt");
  vm.memory.write(0x7c00n, code("0f ff ff ff"));
  assertEquals(vm.vcpu.disassemble(0x7c00n).length > 0, true);
});

kvmTest("a breakpoint is an exit before its instruction, each time it comes by", () => {
  using vm = machine("b9 03 00 e2 fe f4"); // mov cx, 3; loop itself; hlt
  vm.vcpu.breakpoints = [0x7c03n];
  const counts: bigint[] = [];
  for (const exit of vm.exits()) {
    if (exit.reason === "DEBUG") counts.push(vm.vcpu.regs.rcx);
  }
  assertEquals(counts, [3n, 2n, 1n]);
});

kvmTest("a breakpoint can be taken away at its exit", () => {
  using vm = machine("b9 03 00 e2 fe f4");
  vm.vcpu.breakpoints = [0x7c03n];
  let exits = 0;
  for (const exit of vm.exits()) {
    if (exit.reason !== "DEBUG") continue;
    exits++;
    vm.vcpu.breakpoints = [];
  }
  assertEquals([exits, vm.vcpu.regs.rcx], [1, 0n]);
});

kvmTest("stepping can begin and end at a half-finished exit", () => {
  using vm = machine("e6 10 40 40 e6 11 40 f4"); // out; inc ax; inc ax; out; inc ax; hlt
  const seen: string[] = [];
  for (const exit of vm.exits()) {
    if (exit.reason === "IO") vm.vcpu.singleStep = exit.port === 0x10;
    if (exit.reason === "DEBUG") seen.push(vm.vcpu.disassemble());
  }
  assertEquals(seen, ["inc ax", "out 0x11, al"]);
  assertEquals(vm.vcpu.regs.rax, 3n);
});

kvmTest("there are four breakpoints", () => {
  using vm = machine("f4");
  assertThrows(() => vm.vcpu.breakpoints = [1n, 2n, 3n, 4n, 5n], RangeError, "x86 has 4");
});

kvmTest("debug exits come to a handler of #DB; other vectors are refused", () => {
  using vm = machine("90 90 f4");
  vm.vcpu.singleStep = true;
  const rips: bigint[] = [];
  vm.onException(1, (_exit, { regs }) => void rips.push(regs.rip));
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(rips, [0x7c01n, 0x7c02n]);
  assertThrows(() => vm.onException(14, () => {}), RangeError, "not vector 14");
});

kvmTest("an interrupt comes as soon as the guest takes interrupts", () => {
  using vm = machine("e6 10 90 fb 90 eb fe"); // out 0x10, al; nop; sti; nop; jmp itself
  onVector(vm, 0x21);
  vm.vcpu.interrupt(0x21);
  const order: string[] = [];
  for (const exit of vm.exits({ timeoutMs: 5000 })) {
    order.push(exit.reason === "IO" ? `port ${exit.port}` : exit.reason);
    if (exit.reason === "IO" && exit.port === 0x11) break;
  }
  assertEquals(order.filter((what) => what.startsWith("port")), ["port 16", "port 17"]);
  assertEquals(vm.vcpu.regs.rbx, 1n);
});

kvmTest("several interrupts come one after the other", () => {
  using vm = machine("fb 90 eb fe");
  onVector(vm, 0x21);
  vm.vcpu.interrupt(0x21);
  vm.vcpu.interrupt(0x21);
  assertEquals([runToHandler(vm), runToHandler(vm)], [1n, 2n]);
});

kvmTest("an interrupt wakes a guest whose HLT is answered", () => {
  using vm = machine("fb f4 eb fe"); // sti; hlt; jmp itself
  onVector(vm, 0x21);
  for (const exit of vm.exits({ timeoutMs: 5000 })) {
    if (exit.reason === "HLT") {
      vm.vcpu.interrupt(0x21);
      exit.answer();
    } else if (exit.reason === "IO") break;
  }
  assertEquals(vm.vcpu.regs.rbx, 1n);
});

kvmTest("a non-maskable interrupt comes with interrupts disabled", () => {
  using vm = machine("fa 90 eb fe"); // cli; nop; jmp itself
  onVector(vm, 2);
  vm.vcpu.nmi();
  assertEquals(runToHandler(vm), 1n);
});

kvmTest("an exception comes at the next instruction", () => {
  using vm = machine("90 eb fe");
  onVector(vm, 6);
  vm.vcpu.exception(6);
  assertEquals(runToHandler(vm), 1n);
});

kvmTest("vectors that do not exist are refused", () => {
  using vm = machine("f4");
  assertThrows(() => vm.vcpu.interrupt(256), RangeError, "256 is not a vector");
  assertThrows(() => vm.vcpu.exception(32), RangeError, "0 to 31");
});

kvmTest("model-specific registers are read and written, unknown ones are an error", () => {
  using vm = machine("f4");
  vm.vcpu.setMsr(0x174, 8n);
  assertEquals(vm.vcpu.msr(0x174), 8n);
  assertThrows(() => vm.vcpu.msr(0x12345), RangeError, "KVM knows no MSR 0x12345");
});

kvmTest("x87 and SSE registers are read and written", () => {
  using vm = Machine.create({ memory: "2M" });
  vm.load(code("f4"), { protocol: "flat64" });
  const { fpu } = vm.vcpu;
  const wide = 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00n;
  fpu.xmm = fpu.xmm.with(15, wide);
  fpu.st = fpu.st.with(7, 0x3fff_8000_0000_0000_0000n); // 1.0
  fpu.mxcsr = 0x1f80;
  assertEquals([fpu.xmm[15], fpu.xmm[0]], [wide, 0n]);
  assertEquals([fpu.st[7], fpu.mxcsr], [0x3fff_8000_0000_0000_0000n, 0x1f80]);
  assertThrows(() => fpu.xmm = [1n], RangeError, "xmm has 16 registers, got 1");
  assertEquals(fpu.xmm[15], wide);
});

kvmTest("the XSAVE area is read and written whole", () => {
  using vm = machine("f4");
  const area = vm.vcpu.xsave();
  assertEquals(area.length, 4096);
  area[160] = 0x5a; // XMM0 in the legacy area
  area[512]! |= 2; // XSTATE_BV: SSE is not in its initial state
  vm.vcpu.setXsave(area);
  assertEquals(vm.vcpu.fpu.xmm[0]! & 0xffn, 0x5an);
  assertThrows(() => vm.vcpu.setXsave(new Uint8Array(512)), RangeError, "4096 bytes, got 512");
});

kvmTest("debug registers and events are read and written", () => {
  using vm = machine("f4");
  const { debugRegs, events } = vm.vcpu;
  debugRegs.db = debugRegs.db.with(2, 0x7c00n);
  debugRegs.dr7 |= 1n << 4n;
  assertEquals([debugRegs.db[2], debugRegs.dr7], [0x7c00n, 0x410n]);
  events.nmi = { ...events.nmi, masked: 1 };
  assertEquals(events.nmi.masked, 1);
});

kvmTest("the local APIC's registers are read and written on a PC", () => {
  using vm = Machine.create({ memory: "16M", machine: "pc", cpus: 2 });
  const registers = vm.vcpus[1]!.lapic();
  assertEquals([registers.length, registers[0x23]], [1024, 1]); // its id
  registers[0x80] = 0x20; // the task priority
  vm.vcpus[1]!.setLapic(registers);
  assertEquals(vm.vcpus[1]!.lapic()[0x80], 0x20);
  assertThrows(() => vm.vcpu.setLapic(new Uint8Array(1)), RangeError, "1024 bytes, got 1");
  using bare = machine("f4");
  assertThrows(() => bare.vcpu.lapic(), Error, 'make it a "pc"');
});

kvmTest("R7: the state that is written at an exit of a read comes behind the answer", () => {
  using vm = machine("e4 10 f4"); // in al, 0x10; hlt
  for (const exit of vm.exits()) {
    if (exit.reason !== "IO") continue;
    vm.vcpu.fpu.xmm = vm.vcpu.fpu.xmm.with(3, 7n);
    assertEquals(vm.vcpu.fpu.xmm[3], 7n);
    exit.answer(1);
  }
  assertEquals(vm.vcpu.fpu.xmm[3], 7n);
});

kvmTest("a register takes a number where types do not hinder", () => {
  using vm = machine("f4");
  const { regs } = vm.vcpu;
  Object.assign(regs, { rax: 0x1234 });
  assertEquals(regs.rax, 0x1234n);
  assertThrows(() => Object.assign(regs, { rax: 0.5 }), RangeError);
  assertEquals(regs.rax, 0x1234n);
});
