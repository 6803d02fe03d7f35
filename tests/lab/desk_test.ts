/**
 * Exits that not every host gives, on a vCPU that holds them ready: hypercalls
 * for user space.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_EXIT_OFFSET, KVM_RUN_HYPERCALL, KVM_RUN_STRUCT } from "../../ffi/kvm_run.ts";
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

/** A vCPU that came out with a hypercall, and whatever serves its exits. */
function vcpuWithHypercall(id: number, control: RunControl) {
  const area = kvmRun(KVM_EXIT.HYPERCALL);
  const vcpu: Partial<Vcpu> = {
    id,
    area,
    get exitReason() {
      return new DataView(area.buffer).getUint32(KVM_RUN_STRUCT.fields.exit_reason[0], true);
    },
    completePending: () => RunResult.interrupted,
  };
  const context = {
    control,
    vcpu,
    decoder: new ExitDecoder(area),
    statistics: new RunStatistics(false),
    pending: undefined,
  } as Partial<RunContext> as RunContext;
  return {
    context,
    slot: new ExitSlot(context, {} as GuestDebug),
    returned: () => new DataView(area.buffer).getBigInt64(RETURN_AT, true),
  };
}

/** A desk with vCPUs that came out with hypercalls. */
function hypercalls(cpus: number, handlers: [number, ExitHandler][] = []) {
  const control: RunControl = { stop: undefined, waits: false, others: undefined };
  const ids = Array.from({ length: cpus }, (_, id) => id);
  const vcpus = ids.map((id) => vcpuWithHypercall(id, control));
  const desk = new ExitDesk(ids.map((id) => ({ id }) as LabVcpu), true, new Map(handlers));
  for (const { slot } of vcpus) desk.add(slot);
  return { desk, vcpus };
}

/** A desk with one vCPU that came out with a hypercall. */
function hypercall(handlers: [number, ExitHandler][] = []) {
  const { desk, vcpus } = hypercalls(1, handlers);
  return { desk, ...vcpus[0]! };
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

Deno.test("R7: an instruction is finished before the exit of another vCPU is looked at", () => {
  const { desk, vcpus } = hypercalls(3, [[KVM_EXIT.HYPERCALL, () => true]]);
  const done: string[] = [];
  desk.isHanding = true;
  desk.serve(vcpus[1]!.context, RunResult.exit);
  // This vCPU has come out, too, and nobody has looked yet.
  vcpus[2]!.slot.afterwards(() => done.push("2"));
  assertEquals(done, []);
  desk.finishHanded();
  vcpus[1]!.slot.afterwards(() => done.push("1"));
  assertEquals(done, ["1"], "this one's instruction is finished");
  assertEquals(desk.serve(vcpus[1]!.context, RunResult.exit), true, "it is passed by");
  assertEquals(desk.serve(vcpus[2]!.context, RunResult.exit), false, "it is handed out");
  desk.finishHanded();
  assertEquals(done, ["1", "2"]);
});
