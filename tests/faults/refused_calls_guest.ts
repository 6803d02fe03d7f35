/**
 * The program of tests/faults/refused_calls_test.ts: runs guests into holes where calls are refused.
 *
 * @module
 */

import type { HoleKind } from "../../src/memory/hole.ts";
import { TestMachine } from "../lib/machine.ts";
import { refuseCalls } from "../lib/seccomp.ts";

const PROCESS_VM_READV = 310;
const PROCESS_VM_WRITEV = 311;

const [errno] = Deno.args.map(Number);
if (errno) refuseCalls([PROCESS_VM_READV, PROCESS_VM_WRITEV], errno);
for (const image of ["read.bin64", "write.bin64", "rmw-user.bin64", "page-table.bin64"]) {
  for (const kind of ["none", "unmapped", "readonly", "truncated", "lazy"] satisfies HoleKind[]) {
    using test = new TestMachine(`fault/${image}`, {
      holes: [{ gpa: 0x30_0000, sizeBytes: 0x1000, kind }],
    });
    const outcome = await test.run();
    const gpa = outcome.kind === "memory_fault" ? outcome.fault.gpa : undefined;
    console.log(image, kind, outcome.kind, gpa?.toString(16), test.output);
  }
}
