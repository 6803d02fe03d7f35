import { assertEquals } from "@std/assert";
import { hypercallName } from "../../src/exits/hypercall_names.ts";

Deno.test("KVM hypercalls have the names of linux/kvm_para.h", () => {
  assertEquals(hypercallName(1n), "KVM_HC_VAPIC_POLL_IRQ");
  assertEquals(hypercallName(10n), "KVM_HC_SEND_IPI");
  assertEquals(hypercallName(12n), "KVM_HC_MAP_GPA_RANGE");
  assertEquals(hypercallName(12), "KVM_HC_MAP_GPA_RANGE");
});

Deno.test("numbers that are no KVM hypercall have no name", () => {
  for (const nr of [0n, 13n, 0xffff_ffff_ffff_ffffn]) assertEquals(hypercallName(nr), undefined);
});
