/**
 * INT in real mode by a vector that cannot be read: where KVM emulates real mode
 * it never comes out of the guest by itself.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { HoleKind } from "../../src/memory/hole.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

const BAD = 0x3_0000;

/** Puts a HLT at 0, loads IDTR with BAD, and then does as `rest` says. */
function guest(rest: string, kind: HoleKind, type: "bare" | "pc" = "bare"): TestMachine {
  const idtr = "ff 03 00 00 03 00";
  const listing = `eb 06 ${idtr} c6 06 00 00 f4 0f 01 1e 02 7c ${rest}`;
  const holes = [{ gpa: BAD, sizeBytes: 0x1000, kind }];
  return new TestMachine(code(listing), { type, holes, protocol: "flat16" });
}

for (const type of ["bare", "pc"] as const) {
  kvmTest(`INT through a bad page is a memory fault, on a ${type} machine`, async () => {
    using test = guest("cd 10", "none", type);
    const outcome = await test.run();
    assert(outcome.kind === "memory_fault", outcome.kind);
    assertEquals([outcome.fault.gpa, outcome.fault.access], [BigInt(BAD + 4 * 0x10), "read"]);
  });
}

kvmTest("INT through a page that is supplied goes on", async () => {
  using test = guest("cd 10", "lazy");
  assertEquals(await test.run(), { kind: "halt" });
});

kvmTest("a guest that spins has no memory fault, even at an INT's bytes", () => {
  using test = guest("eb fe cd 10", "none");
  assertEquals(test.machine.runFor(400), undefined);
});
