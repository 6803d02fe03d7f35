import { assertEquals } from "@std/assert";
import { KVM_MP_STATE } from "../../ffi/kvm_consts.ts";
import { ThreadAlarm } from "../../src/kvm/alarm.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import { isDeadHalt } from "../../src/machine/dead_halt.ts";
import { code, TestGuest } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

/** Runs real-mode code for a moment, which must not end by itself. */
function halted(listing: string): TestGuest {
  const guest = new TestGuest({ irqchip: true });
  using alarm = new ThreadAlarm();
  alarm.guard(guest.vcpu);
  guest.enterReal(code(listing));
  alarm.arm(20);
  assertEquals(guest.vcpu.run(), RunResult.interrupted);
  return guest;
}

kvmTest("a vCPU that halts with interrupts off is dead", () => {
  using guest = halted("fa f4");
  assertEquals(guest.vcpu.mpState(), KVM_MP_STATE.HALTED);
  assertEquals(isDeadHalt(guest.vm, guest.vcpu), true);
});

kvmTest("it is not while an NMI is on its way", () => {
  using guest = halted("fa f4");
  guest.vcpu.nmi();
  assertEquals(isDeadHalt(guest.vm, guest.vcpu), false);
});

kvmTest("nor with interrupts on, nor while it runs", () => {
  for (const listing of ["fb f4", "fa eb fe"]) {
    using guest = halted(listing);
    assertEquals(isDeadHalt(guest.vm, guest.vcpu), false);
  }
});
