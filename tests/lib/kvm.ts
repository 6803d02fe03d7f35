/**
 * Tests that need real KVM. Without it they are reported as ignored,
 * unless `VMEXIT_REQUIRE_KVM=1` demands it: then they fail.
 *
 * @module
 */

import { Kvm } from "../../src/kvm/kvm.ts";
import { KvmUnavailableError } from "../../src/kvm/unavailable.ts";

function canOpenKvm(): boolean {
  try {
    using _kvm = Kvm.open();
    return true;
  } catch (error) {
    if (error instanceof KvmUnavailableError) return false;
    throw error;
  }
}

const runs = Deno.env.get("VMEXIT_REQUIRE_KVM") === "1" || canOpenKvm();

/** Registers a test that runs on real KVM. */
export function kvmTest(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  Deno.test({ name: runs ? name : `${name} (needs /dev/kvm)`, ignore: !runs, fn });
}
