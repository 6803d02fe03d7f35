import { assert, assertEquals, assertThrows } from "@std/assert";
import { KvmUnavailableError } from "../../src/kvm/unavailable.ts";
import { checkCpuid } from "../../src/host/cpuid_check.ts";
import { BASELINE, CPU_FEATURES } from "../../src/x86/cpu_features.ts";
import { kvmTest } from "../lib/kvm.ts";

kvmTest("a guest without optional features says which it finds, in two modes", () => {
  const modes = checkCpuid();
  assertEquals(modes.map(({ mode }) => mode), ["long_cpl0", "long_cpl3"]);
  for (const { seen } of modes) {
    assertEquals(new Set(seen).size, seen.length);
    for (const name of seen) {
      assert(CPU_FEATURES.includes(name) && !BASELINE.has(name), name);
    }
  }
});

kvmTest("where KVM itself answers CPUID, features that it knows are taken away", () => {
  // At CPL 0 every KVM either intercepts CPUID or emulates it.
  const { seen } = checkCpuid()[0]!;
  for (const name of ["x2apic", "hypervisor", "lahf_lm", "kvm_clocksource"]) {
    assert(!seen.includes(name), name);
  }
});

Deno.test("without KVM it says why", () => {
  assertThrows(() => checkCpuid("/no/such/device"), KvmUnavailableError);
});
