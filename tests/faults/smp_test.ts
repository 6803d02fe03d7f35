/**
 * Memory faults on several vCPUs, on real KVM: all share the state of the memory.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { KVM_MP_STATE } from "../../ffi/kvm_consts.ts";
import { describeOutcome } from "../../src/machine/outcome.ts";
import type { Hole } from "../../src/memory/hole.ts";
import { realModeSegment } from "../../src/x86/segments.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

const PAGES = { gpa: 0x40_0000, sizeBytes: 0x20_0000 };
/** Where vCPU 1 begins, in real mode. */
const OTHER = 0x9000;

for (
  const hole of [{ ...PAGES, kind: "lazy" }, { ...PAGES, kind: "gmem", rebind: true }] as const
) {
  kvmTest(`R10: a ${hole.kind} page that two vCPUs touch at once is there for both`, async () => {
    for (let run = 0; run < 3; run++) {
      using test = new TestMachine("smp/touch.bin64", { type: "pc", cpus: 2, holes: [hole] });
      assertEquals(await test.run(), { kind: "debug_exit", value: 0, cpu: 0 });
    }
  });
}

/** A PC with two vCPUs in real mode: the first at 0x7c00, the second at {@linkcode OTHER}. */
function twoVcpus(first: string, other: string, holes: readonly Hole[]): TestMachine {
  const test = new TestMachine(code(first), { type: "pc", cpus: 2, protocol: "flat16", holes });
  test.machine.memory.write(OTHER, code(other));
  const { vcpu } = test.machine.contexts[1]!;
  const sregs = vcpu.sregs();
  sregs.cs = realModeSegment(0, "code");
  for (const name of ["ds", "es", "ss"] as const) sregs[name] = realModeSegment(0);
  vcpu.setSregs(sregs);
  vcpu.setRegs({ rip: BigInt(OTHER), rsp: 0x8000n, rflags: 2n });
  vcpu.setMpState(KVM_MP_STATE.RUNNABLE);
  return test;
}

kvmTest(
  "what one vCPU stored in a lazy page survives the other's first touch beside it",
  async () => {
    const hole: Hole = {
      gpa: 0x4_0000,
      sizeBytes: 0x1_0000,
      kind: "lazy",
      source: { name: "ones", read: (_offset, into) => into.fill(0x11) },
    };
    using test = twoVcpus(
      // mov byte [0x42000], 0xbb; mov byte [0x9800], 1; until [0x9801]; al = [0x42000]; out 0xf4
      `b8 00 42 8e d8 c6 06 00 00 bb  31 c0 8e d8 c6 06 00 98 01  80 3e 01 98 01 75 f9
     b8 00 42 8e d8 a0 00 00 e6 f4`,
      // until [0x9800]; al = [0x40000]; al = [0x41000]: the second chunk has two pages
      `31 c0 8e d8  80 3e 00 98 01 75 f9  b8 00 40 8e d8 a0 00 00 a0 00 10
     31 c0 8e d8 c6 06 01 98 01  fa f4`,
      [hole],
    );
    assertEquals(await test.run(), { kind: "debug_exit", value: 0xbb, cpu: 0 });
  },
);

kvmTest("R11: INT on the second vCPU with its vector in a bad page is a fault there", async () => {
  using test = twoVcpus("eb fe", "cd 40", [{ gpa: 0, sizeBytes: 0x1000, kind: "none" }]);
  const outcome = await test.run();
  assert(outcome.kind === "memory_fault", describeOutcome(outcome));
  assertEquals([outcome.fault.gpa, outcome.cpu], [0x100n, 1]);
});
