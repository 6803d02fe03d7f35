/**
 * A vCPU's state: what was set is what is read back. Running it is in `vcpu_run_test.ts`.
 *
 * @module
 */

import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { KVM_GUESTDBG, KVM_MP_STATE, KVM_VCPUEVENT_VALID } from "../../ffi/kvm_consts.ts";
import { SystemError } from "../../ffi/libc.ts";
import {
  armTimer,
  blockSignals,
  createThreadTimer,
  deleteTimer,
  KERNEL_SIGSET_BYTES,
  takePendingSignal,
  unblockSignals,
} from "../../ffi/signals.ts";
import { DisposedError } from "../../src/kvm/descriptor.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import { CODE, code, TestGuest } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

const IA32_TSC = 0x10;
const IA32_SYSENTER_CS = 0x174;
const IA32_SYSENTER_ESP = 0x175;
const NO_SUCH_MSR = 0x12345;
/** Offset in an XSAVE area of XSTATE_BV, which says what the area holds (SDM volume 1, 13.4.2). */
const XSTATE_BV = 512;
/** Offset in an XSAVE area of XMM0. */
const XSAVE_XMM0 = 160;

kvmTest("general registers are read back as set, and omitted ones become zero", () => {
  using guest = new TestGuest();
  const names = "rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
  const values = names.map((name, i) => [name, 0xfedc_ba98_7654_3200n + BigInt(i)] as const);
  const regs = { ...Object.fromEntries(values), rip: 0xfff0n, rflags: 0x246n };
  guest.vcpu.setRegs(regs);
  assertEquals({ ...guest.vcpu.regs() }, { ...guest.vcpu.regs(), ...regs });
  guest.vcpu.setRegs({ rbx: 1n });
  assertEquals(guest.vcpu.regs().rax, 0n);
  assertEquals(guest.vcpu.regs().rbx, 1n);
  assertEquals(guest.vcpu.regs().rflags & 2n, 2n);
});

kvmTest("a vCPU starts at the reset vector", () => {
  using guest = new TestGuest();
  assertEquals(guest.vcpu.regs().rip, 0xfff0n);
  const { cs, cr0 } = guest.vcpu.sregs();
  assertEquals([cs.base, cs.selector, cr0], [0xffff_0000n, 0xf000, 0x6000_0010n]);
});

kvmTest("segment, table and control registers are read back as set", () => {
  using guest = new TestGuest();
  guest.enterLong(code("f4"), 0);
  const sregs = guest.vcpu.sregs();
  assertEquals([sregs.cs.l, sregs.cs.selector, sregs.efer & 0x500n], [1, 0x28, 0x500n]);
  sregs.cr2 = 0x1234_5678n;
  sregs.gdt = { ...sregs.gdt, base: 0x7000n, limit: 0x17 };
  sregs.idt = { ...sregs.idt, base: 0x8000n, limit: 0xfff };
  sregs.fs = { ...sregs.fs, base: 0x7fff_0000_1234n };
  guest.vcpu.setSregs(sregs);
  assertEquals(guest.vcpu.sregs(), sregs);
});

kvmTest("x87 and SSE registers are read back as set", () => {
  using guest = new TestGuest();
  const fpu = guest.vcpu.fpu();
  fpu.fcw = 0x27f;
  fpu.fpr.set([1, 2, 3], 16);
  fpu.xmm.set([4, 5, 6], 15 * 16);
  guest.vcpu.setFpu(fpu);
  assertEquals(guest.vcpu.fpu(), fpu);
});

kvmTest("the XSAVE area is read back as set, and shows in the SSE registers", () => {
  using guest = new TestGuest();
  const area = guest.vcpu.xsave();
  area[XSTATE_BV]! |= 0b11; // x87, SSE
  area.set([7, 8, 9], XSAVE_XMM0);
  guest.vcpu.setXsave(area);
  assertEquals([...guest.vcpu.xsave().subarray(XSAVE_XMM0, XSAVE_XMM0 + 4)], [7, 8, 9, 0]);
  assertEquals([...guest.vcpu.fpu().xmm.subarray(0, 4)], [7, 8, 9, 0]);
  assertThrows(() => guest.vcpu.setXsave(new Uint8Array(4095)), RangeError, "4096 bytes, got 4095");
});

kvmTest("MSRs are set and read up to the first that KVM does not have", () => {
  using guest = new TestGuest();
  const wanted = [
    { index: IA32_SYSENTER_CS, data: 8n },
    { index: NO_SUCH_MSR, data: 1n },
    { index: IA32_SYSENTER_ESP, data: 9n },
  ];
  assertEquals(guest.vcpu.setMsrs(wanted), 1);
  assertEquals(guest.vcpu.msrs([IA32_SYSENTER_CS, NO_SUCH_MSR]), wanted.slice(0, 1));
  assertEquals(guest.vcpu.msrs([IA32_SYSENTER_ESP]), [{ index: IA32_SYSENTER_ESP, data: 0n }]);
  assertEquals(guest.vcpu.setMsrs([]), 0);
  assertGreater(guest.vcpu.msrs([IA32_TSC])[0]!.data, 0n);
});

kvmTest("the local APIC's registers are read back as set", () => {
  using guest = new TestGuest({ irqchip: true });
  const registers = guest.vcpu.lapic();
  assertEquals(registers.length, 1024);
  registers[0x80] = 0x40; // task priority
  guest.vcpu.setLapic(registers);
  assertEquals(guest.vcpu.lapic()[0x80], 0x40);
  assertThrows(() => guest.vcpu.setLapic(new Uint8Array(1023)), RangeError, "got 1023");
  using without = new TestGuest();
  assertThrows(() => without.vcpu.lapic(), SystemError, "ioctl(KVM_GET_LAPIC)");
});

kvmTest("the multiprocessor state is read back as set; other vCPUs wait for the first", () => {
  using guest = new TestGuest({ irqchip: true });
  using second = guest.vm.createVcpu(1);
  assertEquals(guest.vcpu.mpState(), KVM_MP_STATE.RUNNABLE);
  assertEquals(second.mpState(), KVM_MP_STATE.UNINITIALIZED);
  second.setMpState(KVM_MP_STATE.HALTED);
  assertEquals(second.mpState(), KVM_MP_STATE.HALTED);
});

kvmTest("debug registers are read back as set", () => {
  using guest = new TestGuest();
  const registers = guest.vcpu.debugRegs();
  registers.db = [0x1000n, 0x2000n, 0x3000n, 0x4000n];
  registers.dr7 |= 0x2n;
  guest.vcpu.setDebugRegs(registers);
  assertEquals(guest.vcpu.debugRegs(), registers);
});

kvmTest("the guest's CPUID leaves are read back as set", () => {
  using guest = new TestGuest();
  const signature = { function: 0x4000_0000, ebx: 0x11, ecx: 0x22, edx: 0x33 };
  guest.vcpu.setCpuid2([{ function: 0, eax: 1 }, { function: 1 }, signature]);
  const leaves = guest.vcpu.cpuid2().slice(0, 3); // KVM may add some
  assertEquals(leaves.map((leaf) => leaf.function), [0, 1, 0x4000_0000]);
  const { ebx, ecx, edx } = leaves[2]!;
  assertEquals([ebx, ecx, edx], [0x11, 0x22, 0x33]);
  assertThrows(() => guest.vcpu.cpuid2(2), SystemError, "ioctl(KVM_GET_CPUID2)");
});

kvmTest("an address is translated by the vCPU's paging mode", () => {
  using guest = new TestGuest();
  guest.enterReal(code("f4"));
  assertEquals(guest.vcpu.translate(0x1234n).physical_address, 0x1234n);
  guest.enterLong(code("f4"), 0);
  const mapped = guest.vcpu.translate(0xffff_f123n);
  assertEquals([mapped.valid, mapped.physical_address], [1, 0xffff_f123n]);
  assertEquals(guest.vcpu.translate(0x1_0000_0000n).valid, 0, "above the identity map");
});

/** A real-mode guest whose vector writes its number to port 0x80. */
function guestWithHandler(vector: number, listing: string): TestGuest {
  const guest = new TestGuest();
  guest.ram.set(code("00 20 00 00"), vector * 4); // 0000:2000
  guest.ram.set([0xb0, vector, 0xe6, 0x80], 0x2000); // mov al, vector; out 0x80, al
  guest.enterReal(code(listing), { rflags: 0x202n });
  return guest;
}

function firstOutput(guest: TestGuest): number {
  const exit = guest.run();
  assert(exit.reason === "IO" && exit.direction === "out");
  return exit.data[0]!;
}

kvmTest("a queued interrupt is an event that is read, and is delivered", () => {
  using guest = guestWithHandler(0x45, "eb fe");
  guest.vcpu.interrupt(0x45);
  const { injected, nr } = guest.vcpu.events().interrupt;
  assertEquals([injected, nr], [1, 0x45]);
  assertEquals(firstOutput(guest), 0x45);
});

kvmTest("a queued NMI is an event that is read, and is delivered", () => {
  using guest = guestWithHandler(2, "eb fe");
  guest.vcpu.nmi();
  assertEquals(guest.vcpu.events().nmi.pending, 1);
  assertEquals(firstOutput(guest), 2);
});

kvmTest("events that are set are delivered, or taken back", () => {
  using guest = guestWithHandler(2, "b0 ff e6 80"); // mov al, 0xff; out 0x80, al
  guest.vcpu.nmi();
  guest.vcpu.setEvents({ flags: KVM_VCPUEVENT_VALID.NMI_PENDING });
  assertEquals(guest.vcpu.events().nmi.pending, 0);
  assertEquals(firstOutput(guest), 0xff);

  using other = guestWithHandler(0x45, "eb fe");
  other.vcpu.setEvents({ interrupt: { injected: 1, nr: 0x45 } });
  assertEquals(firstOutput(other), 0x45);
});

kvmTest("single steps are debug exits, one an instruction", () => {
  using guest = new TestGuest();
  guest.enterReal(code("90 66 90 eb 00 90"));
  const control = KVM_GUESTDBG.ENABLE | KVM_GUESTDBG.SINGLESTEP;
  guest.vcpu.setGuestDebug({ control });
  const lengths: number[] = [];
  for (let step = 0; step < 4; step++) {
    const exit = guest.run();
    assert(exit.reason === "DEBUG");
    assertEquals(exit.vector, 1);
    lengths.push(Number(exit.pc) - CODE);
  }
  assertEquals(lengths, [1, 3, 5, 6]);
});

kvmTest("a breakpoint is a debug exit before its instruction", () => {
  using guest = new TestGuest();
  guest.enterReal(code("90 90 90 f4"));
  const debugreg = [0n, BigInt(CODE + 2), 0n, 0n, 0n, 0n, 0n, 0x8n]; // DR1, G1
  const control = KVM_GUESTDBG.ENABLE | KVM_GUESTDBG.USE_HW_BP;
  guest.vcpu.setGuestDebug({ control, arch: { debugreg } });
  const exit = guest.run();
  assert(exit.reason === "DEBUG");
  assertEquals([exit.pc, exit.dr6 & 0xfn], [BigInt(CODE + 2), 0x2n]);
  guest.vcpu.setGuestDebug({});
  assertEquals(guest.run().reason, "HLT");
});

kvmTest("the signal mask decides which signals interrupt KVM_RUN", () => {
  const signal = 36; // nothing else here uses it
  blockSignals(signal);
  const timer = createThreadTimer(signal);
  try {
    using guest = new TestGuest();
    const spinLong = "66 b9 40 0d 03 00 66 49 75 fc e6 80"; // mov ecx, 200000; dec; jnz; out
    const blocked = new Uint8Array(KERNEL_SIGSET_BYTES);
    blocked[(signal - 1) >> 3]! |= 1 << ((signal - 1) & 7);
    guest.vcpu.setSignalMask(blocked);
    guest.enterReal(code(spinLong));
    armTimer(timer, 1e-6);
    assertEquals(guest.vcpu.run(), RunResult.exit, "the signal stays outside");

    guest.vcpu.setSignalMask(new Uint8Array(KERNEL_SIGSET_BYTES));
    assertEquals(guest.vcpu.run(), RunResult.interrupted, "the signal that waited comes in");
    assert(takePendingSignal(signal), "the signal is still pending");
  } finally {
    deleteTimer(timer);
    takePendingSignal(signal);
    unblockSignals(signal);
  }
});

kvmTest("a capability of the vCPU is enabled, one that it has not is refused", () => {
  using guest = new TestGuest();
  if (guest.kvm.checkExtension("ENFORCE_PV_FEATURE_CPUID")) {
    guest.vcpu.enableCap("ENFORCE_PV_FEATURE_CPUID", 1n);
  }
  assertThrows(() => guest.vcpu.enableCap("S390_PSW"), SystemError, "ioctl(KVM_ENABLE_CAP)");
});

kvmTest("a disposed vCPU does not run, and says so", () => {
  using guest = new TestGuest();
  guest.enterReal(code("f4"));
  const { vcpu } = guest;
  vcpu[Symbol.dispose]();
  vcpu[Symbol.dispose]();
  const message = "vCPU 0 was used after it was disposed";
  assertThrows(() => vcpu.run(), DisposedError, message);
  assertThrows(() => vcpu.cycle.completePending(), DisposedError, message);
  assertThrows(() => vcpu.regs(), DisposedError, message);
  assertThrows(() => vcpu.nmi(), DisposedError, message);
  assert(vcpu.page.released, "the mapping is gone from every view");
});
