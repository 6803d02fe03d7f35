/**
 * Which failed emulations are memory faults in disguise, on synthetic memory
 * and a synthetic vCPU; tests/faults/matrix_test.ts has them on real KVM.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_INTERNAL } from "../../ffi/kvm_run.ts";
import { FaultHandler } from "../../src/faults/handler.ts";
import { originOf } from "../../src/faults/origin.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import type { Vcpu } from "../../src/kvm/vcpu.ts";
import type { GuestMemory } from "../../src/memory/guest_memory.ts";
import { kvmRun } from "../exits/samples.ts";
import { CODE, protectedMode } from "../lib/fake_cpu.ts";
import { FakeMemory } from "../lib/fake_memory.ts";

const NOP = 0x90;

/** Whether an internal error at {@linkcode CODE} is a fault. */
function isFault(suberror: number, memory: FakeMemory): boolean {
  memory.put(CODE, Array(16).fill(NOP));
  const page = new ExitPage(
    kvmRun(KVM_EXIT.INTERNAL_ERROR, KVM_RUN_INTERNAL, { suberror, ndata: 0 }),
  );
  const { regs, sregs } = protectedMode();
  const vcpu: Partial<Vcpu> = {
    page,
    regs: () => regs as ReturnType<Vcpu["regs"]>,
    sregs: () => sregs as ReturnType<Vcpu["sregs"]>,
    events: () => ({ exception: {}, interrupt: {} }) as ReturnType<Vcpu["events"]>,
  };
  const guest = Object.assign(memory, { repairs: 0 }) as unknown as GuestMemory;
  const handler = new FaultHandler(vcpu as Vcpu, guest, {}, []);
  return handler.handle(originOf(page, memory)!).kind !== "no_fault";
}

Deno.test("R5: an emulation failure with RIP in a bad page is a fault", () => {
  assertEquals(isFault(1, new FakeMemory().break(CODE)), true);
});

Deno.test("R5: an emulation failure with RIP in a good page is an exit", () => {
  assertEquals(isFault(1, new FakeMemory()), false);
});

Deno.test("R5: another internal error is an exit, wherever RIP is", () => {
  assertEquals(isFault(2, new FakeMemory().break(CODE)), false);
});
