/**
 * R11: accesses after which KVM's instruction emulator may never come out by itself. Where the
 * guest runs natively, KVM reports the same accesses as faults: the outcome must be the same.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { HoleKind } from "../../src/memory/hole.ts";
import type { BootProtocol } from "../../src/boot/plan.ts";
import { describeOutcome } from "../../src/machine/outcome.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

/** The bad page, in real mode and else. */
const REAL_BAD = 0x3_0000;
const BAD = 0x30_0000;

function guest(
  listing: string,
  protocol: BootProtocol,
  kind: HoleKind = "none",
  type: "bare" | "pc" = "bare",
  gpa = protocol === "flat16" ? REAL_BAD : BAD,
): TestMachine {
  return new TestMachine(code(listing), {
    type,
    protocol,
    holes: [{ gpa, sizeBytes: 0x1000, kind }],
  });
}

/** Puts a HLT at 0, loads IDTR with REAL_BAD, and then does as `rest` says. */
const interrupt = (rest: string) => `eb 06 ff 03 00 00 03 00 c6 06 00 00 f4 0f 01 1e 02 7c ${rest}`;

/** `lgdt` of a table in the bad page, and what loads a descriptor from it. */
function gdt64(rest: string): string {
  const bytes = `0f 01 14 25 20 00 10 00 ${rest} f4`.split(" ");
  return [...bytes, ...Array(32 - bytes.length).fill("90"), "7f 00 00 00 30 00 00 00 00 00"]
    .join(" ");
}

function gdt32(rest: string): string {
  const bytes = `0f 01 15 20 00 10 00 ${rest} f4`.split(" ");
  return [
    ...bytes,
    ...Array(32 - bytes.length).fill("90"),
    "7f 00 00 00 30 00 01 00 00 00 10 00", // and a far pointer
  ].join(" ");
}

const STALLS: readonly [what: string, protocol: BootProtocol, listing: string, gpa: number][] = [
  ["SGDT", "flat64", "0f 01 04 25 06 00 30 00", BAD + 6],
  ["a load of DS", "flat64", gdt64("66 b8 10 00 8e d8"), BAD + 0x10],
  ["LTR", "flat64", gdt64("66 b8 10 00 0f 00 d8"), BAD + 0x10],
  ["a load of SS", "flat32", gdt32("66 b8 10 00 8e d0"), BAD + 0x10],
  ["LLDT", "flat32", gdt32("66 b8 10 00 0f 00 d0"), BAD + 0x10],
  ["LDS", "flat32", gdt32("c5 05 26 00 10 00"), BAD + 0x10],
  ["SGDT", "flat16", "b8 00 30 8e c0 26 0f 01 06 06 00", REAL_BAD + 6],
  ["INT", "flat16", interrupt("cd 10"), REAL_BAD + 4 * 0x10],
];

for (const [what, protocol, listing, gpa] of STALLS) {
  kvmTest(`R11: ${what} at a bad page is a memory fault, in ${protocol}`, async () => {
    using test = guest(listing, protocol);
    const outcome = await test.run();
    assert(outcome.kind === "memory_fault", describeOutcome(outcome));
    assertEquals(outcome.fault.gpa, BigInt(gpa), describeOutcome(outcome));
  });
}

kvmTest("R11: INT through a bad page is a memory fault on a PC, too", async () => {
  using test = guest(interrupt("cd 10"), "flat16", "none", "pc");
  const outcome = await test.run();
  assert(outcome.kind === "memory_fault", outcome.kind);
  assertEquals(outcome.fault.access, "read");
});

kvmTest("INT through a page that is supplied reaches its handler", async () => {
  using test = guest(interrupt("cd 10"), "flat16", "lazy");
  assertEquals(await test.run(), { kind: "halt" });
});

kvmTest("SGDT to a page that is supplied is made once", async () => {
  using test = guest("0f 01 04 25 06 00 30 00 f4", "flat64", "lazy");
  assertEquals(await test.run(), { kind: "halt" });
  assertEquals(test.machine.statistics.faultsResolved, 1);
});

kvmTest("a guest that spins has no memory fault, even at an INT's bytes", () => {
  using test = guest(interrupt("eb fe cd 10"), "flat16");
  assertEquals(test.machine.runFor(600), undefined);
});

kvmTest("a guest that spins is not blamed for an IDT in a bad page that it does not use", () => {
  using test = guest("eb fe", "flat64", "none", "bare", 0);
  assertEquals(test.machine.runFor(600), undefined);
});

kvmTest("a guest that waits for an interrupt is not blamed for its next instruction", () => {
  // With all interrupts masked in the PICs: sti; hlt; mov al, [BAD+8]
  const listing = "b0 ff e6 21 e6 a1 fb f4 8a 04 25 08 00 30 00";
  using test = guest(listing, "flat64", "none", "pc");
  assertEquals(test.machine.runFor(600), undefined);
});
