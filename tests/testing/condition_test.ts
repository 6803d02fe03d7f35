import { assertEquals } from "@std/assert";
import { inspectHost } from "../../src/host/report.ts";
import {
  CONDITION_NAMES,
  conditionText,
  holds,
  parseCondition,
  skipReason,
} from "../../src/testing/condition.ts";

Deno.test("a condition is a name, or a name and the least value", () => {
  assertEquals(parseCondition("GUEST_MEMFD"), { name: "GUEST_MEMFD", atLeast: 1 });
  assertEquals(parseCondition(" host_cpus>= 4 "), { name: "host_cpus", atLeast: 4 });
  for (const text of ["", "GUEST", "guest_memfd", "kvm>4", "kvm >= x", "toString", "kvm >= 1 2"]) {
    assertEquals(parseCondition(text), undefined, text);
  }
  for (const name of CONDITION_NAMES) assertEquals(conditionText(parseCondition(name)!), name);
});

Deno.test("a host without KVM has no capability, and processors all the same", () => {
  const host = inspectHost({ kvmPath: "/dev/null" });
  const fulfilled = CONDITION_NAMES.filter((name) => holds({ name, atLeast: 1 }, host));
  assertEquals(fulfilled.filter((name) => !/^kvm_/.test(name)), ["host_cpus"]);
  assertEquals(holds({ name: "host_cpus", atLeast: 100_000 }, host), false);
});

Deno.test("a test is skipped where one condition of only_if fails or one of skip_if holds", () => {
  const host = () => inspectHost({ kvmPath: "/dev/null" });
  const kvm = { name: "kvm", atLeast: 1 };
  const cpus = { name: "host_cpus", atLeast: 1 };
  assertEquals(skipReason({ skipIf: [kvm], onlyIf: [cpus] }, host), undefined);
  assertEquals(
    skipReason({ skipIf: [], onlyIf: [cpus, kvm] }, host),
    "only_if kvm: this host lacks it",
  );
  assertEquals(
    skipReason({ skipIf: [kvm, cpus], onlyIf: [] }, host),
    "skip_if host_cpus: this host has it",
  );
});
