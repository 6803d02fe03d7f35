import { assertEquals } from "@std/assert";
import { registerValue, segmentRegister } from "../../src/x86/register_values.ts";
import { real } from "../lib/fake_cpu.ts";

const { regs, sregs } = real({
  rax: 0x1122_3344_5566_7788n,
  rsp: 0x8877_6655_4433_2211n,
  r9: 0xffff_ffff_1234_5678n,
});

for (
  const [name, value] of [
    ["RAX", 0x1122_3344_5566_7788n],
    ["EAX", 0x5566_7788n],
    ["AX", 0x7788n],
    ["AL", 0x88n],
    ["AH", 0x77n],
    ["SP", 0x2211n],
    ["SPL", 0x11n],
    ["R9", 0xffff_ffff_1234_5678n],
    ["R9D", 0x1234_5678n],
    ["R9W", 0x5678n],
    ["R9L", 0x78n],
    ["None", 0n],
    ["XMM0", undefined],
    ["CR3", undefined],
  ] as const
) {
  Deno.test(`the register ${name}`, () => assertEquals(registerValue(name, regs), value));
}

Deno.test("segment registers go by their names, others have none", () => {
  assertEquals(segmentRegister("CS", sregs), sregs.cs);
  assertEquals(segmentRegister("None", sregs), undefined);
});
