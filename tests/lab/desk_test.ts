/**
 * Exits that not every host gives, on a vCPU that holds them ready: hypercalls
 * for user space.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_EXIT_OFFSET, KVM_RUN_HYPERCALL } from "../../ffi/kvm_run.ts";
import { ExitDecoder } from "../../src/exits/decode.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import type { Vcpu } from "../../src/kvm/vcpu.ts";
import { ExitDesk, type ExitHandler } from "../../src/lab/desk.ts";
import { ExitSlot } from "../../src/lab/slot.ts";
import type { Vcpu as LabVcpu } from "../../src/lab/vcpu.ts";
import type { GuestDebug } from "../../src/machine/guest_debug.ts";
import type { RunContext, RunControl } from "../../src/machine/run_loop.ts";
import { RunStatistics } from "../../src/machine/statistics.ts";
import { kvmRun } from "../exits/samples.ts";

const RETURN_AT = KVM_RUN_EXIT_OFFSET + KVM_RUN_HYPERCALL.fields.ret[0];

/** A desk with one vCPU that came out with a hypercall. */
function hypercall(handlers: [number, ExitHandler][] = []) {
  const area = kvmRun(KVM_EXIT.HYPERCALL);
  const control: RunControl = { stop: undefined, waits: false, others: undefined };
  const vcpu: Partial<Vcpu> = {
    id: 0,
    area,
    exitReason: KVM_EXIT.HYPERCALL,
    completePending: () => RunResult.interrupted,
  };
  const context = {
    control,
    vcpu,
    decoder: new ExitDecoder(area),
    statistics: new RunStatistics(false),
    pending: undefined,
  } as Partial<RunContext> as RunContext;
  const desk = new ExitDesk([{ id: 0 } as LabVcpu], true, new Map(handlers));
  desk.add(new ExitSlot(context, {} as GuestDebug));
  return {
    desk,
    context,
    returned: () => new DataView(area.buffer).getBigInt64(RETURN_AT, true),
  };
}

Deno.test("a hypercall that is handed out waits, and is answered with what RAX is to be", () => {
  const { desk, context, returned } = hypercall();
  desk.isHanding = true;
  assertEquals(desk.serve(context, RunResult.exit), false);
  const exit = desk.handed!;
  assertEquals([exit.reason, exit.vcpu.id], ["HYPERCALL", 0]);
  if (exit.reason === "HYPERCALL") {
    assertThrows(() => exit.answer(), TypeError);
    exit.answer(-7n);
  }
  desk.finishHanded();
  assertEquals([returned(), desk.handed, context.held], [-7n, undefined, undefined]);
  assertEquals(context.statistics.exits, 1);
});

Deno.test("a hypercall goes to its handler where none are handed out", () => {
  const { desk, context, returned } = hypercall([[KVM_EXIT.HYPERCALL, (slot) => {
    slot.putReturn(42n);
    return true;
  }]]);
  assertEquals(desk.serve(context, RunResult.exit), true);
  assertEquals(returned(), 42n);
});
