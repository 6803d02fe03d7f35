/**
 * Memory faults in JSON: whatever the shape, the records fit the schema.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { readTrace } from "../lib/trace_schema.ts";
import { image, vmexit } from "../lib/vmexit.ts";

/** Where the guests of images/fault touch memory that a VMM is to make bad. */
const BAD = "0x300000+0x1000";

for (
  const [guest, kind, expected] of [
    ["read-user.bin64", "gmem", 20],
    ["read-user.bin64", "none", 20],
    ["read.bin64", "none", 20],
    ["write.bin32", "readonly", 20],
    ["fetch.bin64", "unmapped", 20],
    ["read.bin64", "noslot", 0],
    ["read-user.bin64", "lazy", 1],
  ] as const
) {
  kvmTest(`fault/${guest} with a hole of kind ${kind}`, async () => {
    const args = ["run", "--hole", `${BAD}:${kind}`, "--format", "json", "--trace", "all"];
    const { code, lines } = await vmexit(...args, image(`fault/${guest}`));
    assertEquals(code, expected);
    const records = readTrace(lines);
    const outcome = records.at(-1)!;
    assertEquals([outcome.type, outcome.exit_code], ["outcome", expected]);
    const faults = records.filter(({ reason, type }) =>
      type === "exit" && reason === "MEMORY_FAULT"
    );
    assertEquals(faults.length > 0, kind !== "noslot");
    for (const { memory_fault } of faults) {
      assertEquals(BigInt(memory_fault.gpa) & ~0xfffn, 0x30_0000n);
    }
  });
}
