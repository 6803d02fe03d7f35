import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { VmExit } from "../../src/exits/exit.ts";
import { nameFailedInstruction } from "../../src/faults/failed_instruction.ts";
import { describeOutcome } from "../../src/machine/outcome.ts";
import { loadDecoder } from "../../src/x86/instruction.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

const decoder = await loadDecoder();

function failure(instruction?: Uint8Array): VmExit {
  return {
    reason: "INTERNAL_ERROR",
    code: 17,
    suberror: 1,
    data: [],
    ...(instruction ? { instruction } : {}),
  };
}

for (
  const [mode, image, bytes, name] of [
    ["real", "hlt.bin16", [0x0f, 0xc7, 0x0f], "cmpxchg8b [bx]"],
    ["protected", "hello.bin32", [0x0f, 0xc7, 0x0f], "cmpxchg8b [edi]"],
    ["long", "hello.bin64", [0xf0, 0x48, 0x0f, 0xc7, 0x0e], "lock cmpxchg16b [rsi]"],
    ["long", "hello.bin64", [0xdb, 0xe3, 0x06], "fninit"],
  ] as const
) {
  kvmTest(`${name} is named in ${mode} mode, in the outcome and in words`, () => {
    using test = new TestMachine(image);
    const { vcpu } = test.machine;
    const outcome = { kind: "internal_error", exit: failure(Uint8Array.from(bytes)) } as const;
    const named = nameFailedInstruction(outcome, decoder, vcpu.regs(), vcpu.sregs());
    assertEquals(named.instruction, name);
    assertStringIncludes(describeOutcome(named), `cannot emulate "${name}" suberror=1`);
  });
}

kvmTest("bytes that are no instruction, and an exit without any, have no name", async () => {
  using test = new TestMachine("hello.bin64");
  for (const bytes of [undefined, [], [0x06], [0x48]]) {
    const exit = failure(bytes && Uint8Array.from(bytes));
    const outcome = await test.machine.explain({ kind: "internal_error", exit });
    assert(outcome.kind === "internal_error");
    assertEquals(outcome.instruction, undefined);
  }
});
