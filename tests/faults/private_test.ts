/**
 * R14: private memory without a guest_memfd, where KVM has software-protected VMs: an access
 * converts its page on its own, a hypercall whatever range the guest wants. On other hosts: the
 * capability that is missing.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Kvm } from "../../src/kvm/kvm.ts";
import { KvmUnavailableError } from "../../src/kvm/unavailable.ts";
import { describeOutcome } from "../../src/machine/outcome.ts";
import type { Hole } from "../../src/memory/hole.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

const PAGE: Hole = { gpa: 0x30_0000, sizeBytes: 0x1000, kind: "private" };

/** Registers a test for hosts with software-protected VMs. */
function privateTest(name: string, fn: () => Promise<void>): void {
  kvmTest(name, async () => {
    using kvm = Kvm.open();
    if (kvm.hasProtectedVms) await fn();
    else assertThrows(() => new TestMachine("hello.bin64", { holes: [PAGE] }), KvmUnavailableError);
  });
}

privateTest("R14: an access to a private page is an annotated fault", async () => {
  using test = new TestMachine("fault/write.bin64", { holes: [PAGE], faultPolicy: "report" });
  const outcome = await test.run();
  assert(outcome.kind === "memory_fault", describeOutcome(outcome));
  const { gpa, sizeBytes, access, shape, private: isPrivate } = outcome.fault;
  assertEquals([gpa, sizeBytes, access], [0x30_0000n, 0x1000n, "write"]);
  assertEquals([shape, isPrivate], ["annotated", true]);
});

privateTest("R14: a private page that is accessed becomes shared", async () => {
  using test = new TestMachine("fault/write.bin64", { holes: [PAGE] });
  assertEquals(await test.run(), { kind: "halt" });
  assertEquals([test.output, test.machine.statistics.faultsResolved], ["0000005a\n", 1]);
});

privateTest("a guest makes its page shared and private again by hypercall", async () => {
  // KVM_HC_MAP_GPA_RANGE(0x300000, 1, shared); [0x300008] = 0x5a; the same, private;
  // al = [0x300008]; out 0xf4, al
  const guest = `
    b8 0c 00 00 00  bb 00 00 30 00  b9 01 00 00 00  31 d2  0f 01 d9
    c6 04 25 08 00 30 00 5a
    b8 0c 00 00 00  ba 10 00 00 00  0f 01 d9
    8a 04 25 08 00 30 00  e6 f4`;
  using test = new TestMachine(code(guest), { protocol: "flat64", holes: [PAGE] });
  assertEquals(await test.run(), { kind: "debug_exit", value: 0x5a });
  assertEquals(test.machine.statistics.faultsResolved, 1, "the load's fault only");
});

privateTest(
  "R10: a private page that two vCPUs touch at once becomes shared for both",
  async () => {
    const holes: Hole[] = [{ gpa: 0x40_0000, sizeBytes: 0x20_0000, kind: "private" }];
    using test = new TestMachine("smp/touch.bin64", { type: "pc", cpus: 2, holes });
    assertEquals(await test.run(), { kind: "debug_exit", value: 0, cpu: 0 });
  },
);
