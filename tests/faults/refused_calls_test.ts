/**
 * Sandboxes refuse process_vm_readv(2) and process_vm_writev(2): faults are located and repaired
 * all the same, on real KVM.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { PROJECT } from "../lib/vmexit.ts";

const [NONE, EPERM, ENOSYS] = [0, 1, 38];

/** Where packages come from: the same as for ./dev test itself. */
const FLAGS = (Deno.env.get("VMEXIT_DENO_FLAGS") ?? "").split(" ").filter((flag) => flag !== "");

async function guests(errno: number): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", ...FLAGS, "tests/faults/refused_calls_guest.ts", `${errno}`],
    cwd: PROJECT,
  }).output();
  const text = new TextDecoder().decode(stdout);
  return success ? text : text + new TextDecoder().decode(stderr);
}

kvmTest("faults are the same where a sandbox refuses to copy by process_vm_readv", async () => {
  const reference = await guests(NONE);
  assertStringIncludes(reference, "read.bin64 none memory_fault 300008");
  for (const errno of [EPERM, ENOSYS]) assertEquals(await guests(errno), reference);
});
