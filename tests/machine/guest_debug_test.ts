import { assert, assertEquals } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_DEBUG } from "../../ffi/kvm_run.ts";
import type { VmExit } from "../../src/exits/exit.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import { decodeDebugExit } from "../../src/machine/guest_debug.ts";
import { kvmRun } from "../exits/samples.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine, type TestMachineOptions, traced } from "../lib/machine.ts";

const START = 0x7c00;

/** Where debug exits were, from the start of the code on, and why: step or breakpoint number. */
function debugExits(exits: readonly VmExit[], start = START): string[] {
  return exits.flatMap((exit) => {
    if (exit.reason !== "DEBUG") return [];
    const conditions = [0, 1, 2, 3].filter((i) => exit.dr6 >> BigInt(i) & 1n).map((i) => `b${i}`);
    if (exit.dr6 & 0x4000n) conditions.push("step");
    return [`${Number(exit.pc) - start} ${conditions.join("+")}`];
  });
}

function breakpoints(...offsets: number[]): TestMachineOptions {
  return { protocol: "flat16", breakpoints: offsets.map((offset) => BigInt(START + offset)) };
}

kvmTest("single steps are one debug exit an instruction, and end with the guest", async () => {
  // mov cx, 2; dec cx; jnz $-1; hlt
  const { outcome, exits } = await traced(code("b9 02 00 49 75 fd f4"), {
    protocol: "flat16",
    singleStep: true,
  });
  assertEquals(outcome, { kind: "halt" });
  assertEquals(debugExits(exits), ["3 step", "4 step", "3 step", "4 step", "6 step"]);
  assertEquals(exits.at(-1)!.reason, "HLT");
});

kvmTest("a guest whose first instruction is HLT ends at it, stepped or not", async () => {
  for (const singleStep of [true, false]) {
    const { outcome, exits } = await traced(code("f4 e6 80"), { protocol: "flat16", singleStep });
    assertEquals(outcome, { kind: "halt" });
    assertEquals(exits.map(({ reason }) => reason), ["HLT"]);
  }
});

kvmTest("port and MMIO accesses are served while single-stepping", async () => {
  for (const image of ["hello.bin16", "hello.bin32", "hello.bin64", "mmio.bin64"]) {
    const plain = await traced(image);
    const { outcome, exits, output } = await traced(image, { singleStep: true });
    assertEquals(outcome, { kind: "halt" }, image);
    assertEquals(output, plain.output);
    const others = exits.filter(({ reason }) => reason !== "DEBUG");
    assertEquals(others.length, plain.exits.length, "the other exits are the same");
    assert(exits.length > 2 * others.length);
  }
});

kvmTest("a breakpoint is a debug exit each time, before its instruction", async () => {
  // mov cx, 3; nop; dec cx; jnz $-2; hlt
  const { outcome, exits } = await traced(code("b9 03 00 90 49 75 fc f4"), breakpoints(3));
  assertEquals(outcome, { kind: "halt" });
  assertEquals(debugExits(exits).filter((text) => text.includes("b0")), ["3 b0", "3 b0", "3 b0"]);
});

kvmTest("four breakpoints are told apart, also next to each other", async () => {
  const { outcome, exits } = await traced(code("90 90 90 90 90 f4"), breakpoints(1, 2, 3, 5));
  assertEquals(outcome, { kind: "halt" });
  const hits = debugExits(exits).filter((text) => text.includes("b"));
  assertEquals(hits, ["1 b0", "2 b1", "3 b2", "5 b3"], "the last one is at the HLT");
});

kvmTest("a breakpoint at an access is passed when the access was served", async () => {
  const { outcome, exits, output } = await traced(
    code("b0 48 e6 e9 b0 69 e6 e9 f4"), // mov al, 'H'; out 0xe9, al; …
    breakpoints(2, 6),
  );
  assertEquals([outcome.kind, output], ["halt", "Hi"]);
  const hits = debugExits(exits).filter((text) => text.includes("b"));
  assertEquals(hits, ["2 b0", "6 b1"]);
});

kvmTest("breakpoints are found while single-stepping, and the steps continue", async () => {
  const { outcome, exits } = await traced(code("90 90 90 f4"), {
    ...breakpoints(1),
    singleStep: true,
  });
  assertEquals(outcome, { kind: "halt" });
  assertEquals(debugExits(exits), ["1 step", "1 b0", "2 step", "3 step"]);
});

Deno.test("a step names no breakpoint, whatever else DR6 says (synthetic exits)", () => {
  const dr6Of = (dr6: bigint): bigint => {
    const page = kvmRun(KVM_EXIT.DEBUG, KVM_RUN_DEBUG, { arch: { exception: 1, dr6 } });
    return decodeDebugExit(new ExitPage(page)).dr6;
  };
  assertEquals(dr6Of(0xffff_4ff1n), 0xffff_4ff0n);
  assertEquals(dr6Of(0xffff_0ff1n), 0xffff_0ff1n);
});

kvmTest("an unexpected debug exit ends the run", async () => {
  // A guest cannot make one: the debugger is set up behind the machine's back.
  using test = new TestMachine(code("90 90 f4"), { protocol: "flat16" });
  test.machine.vcpu.setGuestDebug({ control: 3 });
  const outcome = await test.run();
  assert(outcome.kind === "unhandled" && outcome.exit.reason === "DEBUG");
});

kvmTest("a step into memory that cannot be read is a memory fault, not an error", async () => {
  const { outcome } = await traced(code("e9 fd 03"), { // jmp 0x8000
    protocol: "flat16",
    singleStep: true,
    holes: [{ gpa: 0x8000, sizeBytes: 0x1000, kind: "none" }],
  });
  assert(outcome.kind === "memory_fault");
  assertEquals(outcome.fault.gpa, 0x8000n);
});

kvmTest("guests without a debugger have no debug exits", async () => {
  const { exits } = await traced("hello.bin64");
  assertEquals(debugExits(exits), []);
});
