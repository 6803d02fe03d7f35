/**
 * The threads of further vCPUs, on real KVM: they are let go and stopped, and
 * their exits come to this thread.
 *
 * @module
 */

import { assert, assertEquals, assertFalse } from "@std/assert";
import { KVM_MP_STATE } from "../../../ffi/kvm_consts.ts";
import { EFAULT } from "../../../ffi/errno.ts";
import { mprotect, PROT } from "../../../ffi/memory.ts";
import { guestSignalMask } from "../../../src/kvm/kick.ts";
import { RunResult } from "../../../src/kvm/run_result.ts";
import { VcpuThreads } from "../../../src/machine/smp/vcpu_threads.ts";
import { PAGE_BYTES } from "../../../src/pages.ts";
import { code, TestGuest } from "../../lib/guest.ts";
import { kvmTest } from "../../lib/kvm.ts";

/** `jmp $` */
const SPIN = code("eb fe");
/** `out 0x10, al; inc al; jmp $-4` */
const COUNT = code("e6 10 fe c0 eb fa");
/** `mov al, [rsi]` */
const LOAD = code("8a 06");
const PORT_DATA = 4096;

/** A guest whose vCPU runs on its own thread. */
function onThread(program: Uint8Array): { guest: TestGuest; threads: VcpuThreads } {
  const guest = new TestGuest();
  guest.enterReal(program);
  guest.vcpu.setSignalMask(guestSignalMask(new Uint8Array(8)));
  return { guest, threads: new VcpuThreads([guest.vcpu]) };
}

/** Waits for a number of exits, and serves all but the last. */
function serve(threads: VcpuThreads, count: number, look: (result: RunResult) => void): void {
  for (let seen = 0; seen < count;) {
    const vcpu = threads.next();
    if (vcpu) {
      look(vcpu.cycle.result);
      if (++seen === count) return;
      vcpu.cycle.served();
      threads.resumeOne(vcpu);
    } else threads.firstCameOut();
  }
}

kvmTest("an exit of another thread's vCPU waits until it is served here", () => {
  const { guest, threads } = onThread(COUNT);
  using _guest = guest;
  using _threads = threads;
  threads.resume();
  const seen: number[] = [];
  serve(threads, 300, (result) => {
    assertEquals(result, RunResult.exit);
    seen.push(guest.area[PORT_DATA]!);
  });
  assertEquals(seen, Array.from({ length: 300 }, (_, i) => i & 0xff));
});

kvmTest(
  "an exit that was not served waits still, though the threads were stopped meanwhile",
  () => {
    const { guest, threads } = onThread(COUNT);
    using _guest = guest;
    using _threads = threads;
    threads.resume();
    serve(threads, 1, () => {});
    threads.park();
    assert(threads.hasExits);
    threads.resume();
    const seen: number[] = [];
    serve(threads, 2, () => seen.push(guest.area[PORT_DATA]!));
    assertEquals(seen, [0, 1], "the first was refused, and comes again");
  },
);

kvmTest(
  "a vCPU that never exits is stopped as often as one likes, and its state can be read",
  () => {
    const { guest, threads } = onThread(SPIN);
    using _guest = guest;
    using _threads = threads;
    for (let i = 0; i < 200; i++) {
      threads.resume();
      threads.park();
      assertFalse(threads.hasExits);
      assertEquals(guest.vcpu.mpState(), KVM_MP_STATE.RUNNABLE);
    }
  },
);

kvmTest("threads that were never let go end, too", () => {
  const { guest, threads } = onThread(SPIN);
  using _guest = guest;
  using _threads = threads;
  assertFalse(threads.hasExits);
});

kvmTest("threads end though an exit is still waiting to be served", () => {
  const { guest, threads } = onThread(COUNT);
  using _guest = guest;
  using _threads = threads;
  threads.resume();
  while (!threads.hasExits) { /* the first exit is on its way */ }
});

kvmTest("the errno of a run that failed on another thread arrives with it", () => {
  const { guest, threads } = onThread(SPIN);
  using _guest = guest;
  using _threads = threads;
  const bad = 0x10_0000;
  mprotect(guest.hva + BigInt(bad), PAGE_BYTES, PROT.NONE);
  guest.enterLong(LOAD, 3, { rsi: BigInt(bad) });
  threads.resume();
  serve(threads, 1, (result) => {
    assertEquals(result, RunResult.unannotatedFault);
    assertEquals(guest.vcpu.cycle.errno, EFAULT);
  });
});
