import { assert, assertEquals } from "@std/assert";
import { checkBehaviour } from "../../src/host/guest_behaviour.ts";
import { kvmTest } from "../lib/kvm.ts";
import { image, vmexit } from "../lib/vmexit.ts";

kvmTest("paging and the state at a triple fault are as guests find them", async () => {
  const behaviour = checkBehaviour();
  // KVM either has 32-bit paging in all its forms or in none.
  assertEquals(behaviour.paging32, behaviour.pagingPae);
  assert(["works", "triple_fault"].includes(behaviour.paging32));
  const { stderr } = await vmexit("run", "-q", image("triple.bin64"));
  assertEquals(stderr.includes("rip=0x10"), behaviour.shutdownState === "kept", stderr);
});
