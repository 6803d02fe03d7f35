/**
 * `Vcpu.run` on real KVM: the rules of what may be read after `KVM_RUN`.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { EAGAIN, EFAULT, EINTR } from "../../ffi/errno.ts";
import { KVM_EXIT, KVM_MSR_EXIT_REASON } from "../../ffi/kvm_consts.ts";
import {
  KVM_RUN_EXIT_OFFSET,
  KVM_RUN_MMIO,
  KVM_RUN_MSR,
  KVM_RUN_REGS_OFFSET,
  KVM_RUN_STRUCT,
} from "../../ffi/kvm_run.ts";
import { encode } from "../../ffi/layout.ts";
import { errnoCell, O_RDWR, open, SystemError } from "../../ffi/libc.ts";
import { mprotect, PROT } from "../../ffi/memory.ts";
import { ThreadAlarm } from "../../src/kvm/alarm.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import { CODE, code, TestGuest } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

const EINVAL = 22;
/** A GPA without memory. */
const DEVICE = 0xd000_0000n;
/** A page of the test guests' RAM. */
const PAGE = 0x10_0000n;
/** A class of registers that `kvm_valid_regs` does not have: `KVM_RUN` refuses it with EINVAL. */
const NO_SUCH_REGISTERS = 1 << 30;

/** Lets KVM_RUN fail with EINVAL until it is set to 0 again. */
function breakRun(guest: TestGuest, broken: boolean): void {
  guest.vcpu.page.syncRegs = broken ? NO_SUCH_REGISTERS : 0;
}

kvmTest("an exit has its reason", () => {
  using guest = new TestGuest();
  guest.enterReal(code("f4"));
  assertEquals(guest.vcpu.run(), RunResult.exit);
  assertEquals(guest.vcpu.page.reason, KVM_EXIT.HLT);
});

kvmTest("a shared register is in kvm_run at the exit, without asking", () => {
  using guest = new TestGuest();
  guest.vcpu.page.syncRegs = 1;
  guest.enterReal(code("66 bb 78 56 34 12 f4")); // mov ebx, 0x12345678; hlt
  assertEquals(guest.run().rip, BigInt(CODE + 7));
  const rbx = new DataView(guest.area.buffer).getBigUint64(KVM_RUN_REGS_OFFSET + 8, true);
  assertEquals(rbx, 0x1234_5678n);
});

kvmTest("R1: an errno other than a fault's is fatal, though the reason reads MEMORY_FAULT", () => {
  using guest = new TestGuest();
  guest.enterReal(code("f4"));
  breakRun(guest, true);
  guest.vcpu.page.immediateExit = true; // so that the reason stays as it is
  encode(KVM_RUN_STRUCT, { exit_reason: KVM_EXIT.MEMORY_FAULT }, guest.area);
  assertEquals(guest.vcpu.run(), RunResult.failed);
  assertEquals(guest.vcpu.page.reason, KVM_EXIT.MEMORY_FAULT);
  assertEquals(guest.vcpu.cycle.errno, EINVAL);
});

/**
 * At CPL 3, which every KVM runs natively:
 * `out 0x80, al; mov al, [PAGE]; out 0x81, al`, and the page is not accessible.
 */
function faultingGuest(): TestGuest {
  const guest = new TestGuest();
  guest.enterLong(code("e6 80 8a 07 e6 81"), 3, { rdi: PAGE });
  mprotect(guest.hva + PAGE, 4096, PROT.NONE);
  return guest;
}

/** Runs into the fault, which KVM may annotate or not. */
function runIntoFault(guest: TestGuest): void {
  const annotated = guest.vcpu.run() === RunResult.annotatedFault;
  assertEquals(guest.vcpu.page.reason, annotated ? KVM_EXIT.MEMORY_FAULT : KVM_EXIT.UNKNOWN);
  assertEquals(guest.vcpu.cycle.errno, EFAULT);
}

kvmTest("R2: a fault without an annotation reads as UNKNOWN, not as the exit before it", () => {
  using guest = faultingGuest();
  assertEquals(guest.run().reason, "IO");
  runIntoFault(guest);
  assertEquals(guest.vcpu.regs().rip, BigInt(CODE + 2), "at the instruction that faults");
});

kvmTest(
  "R2: the reason is reset before KVM_RUN, so that an old one cannot be taken for new",
  () => {
    using guest = new TestGuest();
    guest.enterReal(code("e6 80 f4"));
    assertEquals(guest.run().reason, "IO");
    breakRun(guest, true); // refused before the kernel gets to reset the reason itself
    assertEquals(guest.vcpu.run(), RunResult.failed);
    assertEquals(guest.vcpu.page.reason, KVM_EXIT.UNKNOWN);
  },
);

kvmTest("a fault that was repaired can be run again", () => {
  using guest = faultingGuest();
  guest.run();
  runIntoFault(guest);
  runIntoFault(guest);
  mprotect(guest.hva + PAGE, 4096, PROT.READ | PROT.WRITE);
  guest.ram[Number(PAGE)] = 0x77;
  const exit = guest.run();
  assert(exit.reason === "IO" && exit.port === 0x81);
  assertEquals(exit.data[0], 0x77);
});

kvmTest("R3: immediate_exit returns interrupted and preserves the exit reason", () => {
  using guest = new TestGuest();
  guest.enterReal(code("e6 80 f4"));
  assertEquals(guest.run().reason, "IO");
  guest.vcpu.page.immediateExit = true;
  assert(guest.vcpu.page.immediateExit);
  for (let i = 0; i < 3; i++) {
    assertEquals(guest.vcpu.run(), RunResult.interrupted);
    assertEquals(guest.vcpu.cycle.errno, EINTR);
    assertEquals(guest.vcpu.page.reason, KVM_EXIT.IO);
  }
  guest.vcpu.page.immediateExit = false;
  assertEquals(guest.run().reason, "HLT", "the guest had not run in between");
});

kvmTest("R4: errno is that of KVM_RUN, after however many calls that succeeded or failed", () => {
  using guest = faultingGuest();
  guest.run();
  for (let i = 0; i < 100; i++) {
    assertThrows(() => open("/does/not/exist", O_RDWR), SystemError, "ENOENT");
    guest.vcpu.regs();
    runIntoFault(guest);
    assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
    assertEquals(guest.vcpu.cycle.errno, EINTR);
  }
});

kvmTest("R4: an errno that an earlier call left behind does not leak into a successful run", () => {
  using guest = new TestGuest();
  guest.enterReal(code("e6 80 eb fc"));
  assertEquals(guest.vcpu.cycle.errno, 0);
  for (let i = 0; i < 100; i++) {
    assertThrows(() => open("/does/not/exist", O_RDWR), SystemError);
    assertEquals(errnoCell[0], 2, "ENOENT");
    assertEquals(guest.vcpu.run(), RunResult.exit);
    assertEquals(guest.vcpu.page.reason, KVM_EXIT.IO);
  }
  assertEquals(guest.vcpu.cycle.errno, 0, "no run had failed");
});

/** Puts the answer to a pending port read into `kvm_run`. */
function answerPort(guest: TestGuest, bytes: readonly number[]): void {
  guest.area.set(bytes, 4096); // KVM_PIO_PAGE_OFFSET pages
}

function answerMmio(guest: TestGuest, bytes: readonly number[]): void {
  guest.area.set(bytes, KVM_RUN_EXIT_OFFSET + KVM_RUN_MMIO.fields.data[0]);
}

/** RIP as an offset in the code, and RAX. */
function state(guest: TestGuest): [offset: number, rax: bigint] {
  const { rip, rax } = guest.vcpu.regs();
  return [Number(rip) - CODE, rax];
}

for (const cpl of [0, 3] as const) {
  kvmTest(`R7: completing an IN makes RIP and RAX whole, at CPL ${cpl}`, () => {
    using guest = new TestGuest();
    guest.enterLong(code("e5 80 f4"), cpl, { rax: 0xffff_ffff_0000_1234n }); // in eax, 0x80
    assertEquals(guest.run().reason, "IO");
    assertEquals(state(guest), [0, 0xffff_ffff_0000_1234n]);
    answerPort(guest, [0x78, 0x56, 0x34, 0x12]);
    assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
    assertEquals(state(guest), [2, 0x1234_5678n]);
    assertEquals(guest.vcpu.page.reason, KVM_EXIT.IO, "R3: still the exit that was completed");
  });

  kvmTest(`R7: completing an MMIO read makes RIP and RAX whole, at CPL ${cpl}`, () => {
    using guest = new TestGuest();
    guest.enterLong(code("8b 07 f4"), cpl, { rdi: DEVICE, rax: 5n }); // mov eax, [rdi]
    assertEquals(guest.run().reason, "MMIO");
    assertEquals(state(guest), [0, 5n]);
    answerMmio(guest, [1, 2, 3, 4]);
    assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
    assertEquals(state(guest), [2, 0x0403_0201n]);
  });
}

kvmTest("R7: completing an OUT and an MMIO write leaves RIP behind them", () => {
  using guest = new TestGuest();
  guest.enterLong(code("e6 80 88 07 f4"), 0, { rdi: DEVICE }); // out 0x80, al; mov [rdi], al
  assertEquals(guest.run().reason, "IO");
  assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
  assertEquals(state(guest)[0], 2);
  assertEquals(guest.run().reason, "MMIO");
  assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
  assertEquals(state(guest)[0], 4);
  assertEquals(guest.run().reason, "HLT", "neither was done again");
});

kvmTest("R7: completing an RDMSR makes RIP, RAX and RDX whole", () => {
  using guest = new TestGuest();
  guest.vm.enableCap("X86_USER_SPACE_MSR", BigInt(KVM_MSR_EXIT_REASON.UNKNOWN));
  guest.enterLong(code("0f 32 f4"), 0, { rcx: 0x12345n });
  assertEquals(guest.run().reason, "X86_RDMSR");
  encode(KVM_RUN_MSR, { data: 0x1111_2222_3333_4444n }, guest.area, KVM_RUN_EXIT_OFFSET);
  assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
  assertEquals(state(guest), [2, 0x3333_4444n]);
  assertEquals(guest.vcpu.regs().rdx, 0x1111_2222n);
});

kvmTest("R7: an MMIO read that crosses a page is two exits, the second by completing", () => {
  using guest = new TestGuest();
  guest.enterLong(code("48 8b 07 f4"), 0, { rdi: DEVICE + 0xffcn }); // mov rax, [rdi]
  assertEquals(guest.run().reason, "MMIO");
  answerMmio(guest, [1, 2, 3, 4]);
  assertEquals(guest.vcpu.cycle.completePending(), RunResult.exit, "the next part needs serving");
  assertEquals(guest.vcpu.page.reason, KVM_EXIT.MMIO);
  assertEquals(state(guest), [0, 0n]);
  answerMmio(guest, [5, 6, 7, 8]);
  assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
  assertEquals(state(guest), [3, 0x0807_0605_0403_0201n]);
});

kvmTest("R7: a string input that KVM cuts into parts is whole after each part", () => {
  const total = 2500; // more than the page of port data is ever filled with at once
  using guest = new TestGuest();
  guest.enterLong(code("f3 6c f4"), 0, { rdi: 0x8000n, rcx: BigInt(total), rdx: 0x1234n });
  let done = 0;
  let parts = 0;
  for (let exit = guest.run(); exit.reason === "IO"; exit = guest.run()) {
    assertEquals([exit.direction, exit.size], ["in", 1]);
    exit.data.forEach((_, i) => exit.data[i] = (done + i) & 0xff);
    done += exit.count;
    parts++;
    assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
    const { rip, rcx, rdi } = guest.vcpu.regs();
    assertEquals(rcx, BigInt(total - done));
    assertEquals(rdi, BigInt(0x8000 + done));
    if (done < total) assertEquals(rip, BigInt(CODE), "at the instruction, for the rest");
  }
  assertEquals(done, total);
  assert(parts > 1);
  assert(guest.ram.subarray(0x8000, 0x8000 + total).every((byte, i) => byte === (i & 0xff)));
  assertEquals(guest.vcpu.page.reason, KVM_EXIT.HLT);
});

kvmTest("completing where nothing is pending does nothing, and does not enter the guest", () => {
  using guest = new TestGuest();
  guest.enterReal(code("e6 80"));
  assertEquals(guest.vcpu.cycle.completePending(), RunResult.interrupted);
  assertEquals(guest.vcpu.regs().rip, BigInt(CODE));
  assert(!guest.vcpu.page.immediateExit, "the flag is cleared again");
});

kvmTest("a vCPU that was just started by another is not runnable once, then runs", () => {
  using guest = new TestGuest({ irqchip: true });
  using second = guest.vm.createVcpu(1);
  using alarm = new ThreadAlarm();
  alarm.guard(second);
  guest.ram.set(code("e6 81"), 0x2000);
  const lapic = guest.vcpu.lapic();
  new DataView(lapic.buffer).setUint32(0xf0, 0x1ff, true); // spurious vector: APIC enabled
  guest.vcpu.setLapic(lapic);
  const toSecond = 0xfee0_0000 | 1 << 12;
  guest.vm.signalMsi({ address_lo: toSecond, data: 0x500 }); // INIT
  guest.vm.signalMsi({ address_lo: toSecond, data: 0x602 }); // SIPI: start at 0200:0000
  alarm.arm(5000);
  assertEquals(second.run(), RunResult.notRunnable);
  assertEquals(second.cycle.errno, EAGAIN);
  assertEquals(second.run(), RunResult.exit);
  assertEquals(second.page.reason, KVM_EXIT.IO);
  alarm.disarm();
});
