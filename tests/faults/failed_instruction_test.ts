import { assertEquals, assertStringIncludes } from "@std/assert";
import type { VmExit } from "../../src/exits/exit.ts";
import { failedInstruction } from "../../src/faults/failed_instruction.ts";
import { describeOutcome } from "../../src/machine/outcome.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

function failure(instructionBytes?: Uint8Array): VmExit {
  return {
    reason: "INTERNAL_ERROR",
    code: 17,
    suberror: 1,
    data: [],
    ...(instructionBytes ? { instructionBytes } : {}),
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
    const exit = failure(Uint8Array.from(bytes));
    const instruction = failedInstruction(exit, test.machine.vcpu);
    assertEquals(instruction, name);
    const text = describeOutcome({ kind: "internal_error", exit, instruction: name });
    assertStringIncludes(text, `cannot emulate "${name}" suberror=1`);
  });
}

kvmTest("bytes that are no instruction, and an exit without any, have no name", () => {
  using test = new TestMachine("hello.bin64");
  for (const bytes of [undefined, [], [0x06], [0x48]]) {
    const exit = failure(bytes && Uint8Array.from(bytes));
    assertEquals(failedInstruction(exit, test.machine.vcpu), undefined);
  }
});
