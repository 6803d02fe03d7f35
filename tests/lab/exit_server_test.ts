/**
 * Exits that not every host gives, on a vCPU that holds them ready: hypercalls
 * for user space.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_HYPERCALL } from "../../ffi/kvm_run.ts";
import { errnoCell } from "../../ffi/libc.ts";
import { ExitCycle } from "../../src/kvm/exit_cycle.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import type { Vcpu } from "../../src/kvm/vcpu.ts";
import { type ExitHandler, ExitServer } from "../../src/lab/exit_server.ts";
import type { LiveVcpu } from "../../src/lab/vcpu.ts";
import type { RunContext, RunControl } from "../../src/machine/run_context.ts";
import { serve } from "../../src/machine/serve.ts";
import { RunStatistics } from "../../src/machine/statistics.ts";
import { kvmRun } from "../exits/samples.ts";

const EINTR = 4;

/** A cycle whose `KVM_RUN` only ever finishes what is pending. */
class FinishingCycle extends ExitCycle {
  protected override enter(): number {
    errnoCell[0] = EINTR;
    return -1;
  }
}

/** A vCPU that came out with a hypercall, and what serves its exits. */
function vcpuWithHypercall(id: number, control: RunControl) {
  const page = new ExitPage(kvmRun(KVM_EXIT.HYPERCALL));
  const cycle = new FinishingCycle(page, -1, "the vCPU");
  cycle.cameOut(RunResult.exit, 0);
  const vcpu: Partial<Vcpu> = { id, cycle, page, disposed: false };
  const context = {
    control,
    vcpu,
    statistics: new RunStatistics(false),
  } as Partial<RunContext> as RunContext;
  return {
    id,
    context,
    cycle,
    isStepOver: false,
    returned: () => BigInt.asIntN(64, page.payload(KVM_RUN_HYPERCALL).ret),
  };
}

/** vCPUs that came out with hypercalls, and the server of their exits. */
function hypercalls(cpus: number, handlers: [number, ExitHandler][] = []) {
  const control: RunControl = { outcome: undefined, secondaries: undefined, serve };
  const vcpus = Array.from({ length: cpus }, (_, id) => vcpuWithHypercall(id, control));
  const live = vcpus as unknown as LiveVcpu[];
  return { server: new ExitServer(live, true, new Map(handlers)), vcpus };
}

/** One vCPU that came out with a hypercall. */
function hypercall(handlers: [number, ExitHandler][] = []) {
  const { server, vcpus } = hypercalls(1, handlers);
  return { server, ...vcpus[0]! };
}

Deno.test("a hypercall that is handed out waits, and is answered with what RAX is to be", () => {
  const { server, context, cycle, returned } = hypercall();
  server.handsOut = true;
  assertEquals(server.serve(context), "wait");
  const exit = server.handed!;
  assertEquals([exit.reason, exit.vcpu.id], ["HYPERCALL", 0]);
  if (exit.reason === "HYPERCALL") {
    assertThrows(() => exit.answer(), TypeError);
    exit.answer(-7n);
  }
  assertEquals(cycle.state, "exited");
  server.serveHanded();
  assertEquals([returned(), server.handed, cycle.state], [-7n, undefined, "served"]);
  assertEquals(context.statistics.exits, 1);
});

Deno.test("a hypercall goes to its handler where none are handed out", () => {
  const { server, context, returned } = hypercall([[KVM_EXIT.HYPERCALL, ({ context }) => {
    context.vcpu.page.replyHypercall(42n);
    return true;
  }]]);
  assertEquals(server.serve(context), "continue");
  assertEquals(returned(), 42n);
});

Deno.test("R7: an instruction is finished before the exit of another vCPU is handed out", () => {
  const { server, vcpus } = hypercalls(3, [[KVM_EXIT.HYPERCALL, () => true]]);
  const done: string[] = [];
  server.handsOut = true;
  server.serve(vcpus[1]!.context);
  // This vCPU has come out as well, and its exit is next.
  vcpus[2]!.cycle.whenFinal(() => done.push("2"));
  assertEquals(done, []);
  server.serveHanded();
  vcpus[1]!.cycle.whenFinal(() => done.push("1"));
  assertEquals(done, ["1"], "this one's instruction is finished");
  assertEquals(vcpus[1]!.cycle.state, "whole");
  assertEquals(server.serve(vcpus[2]!.context), "wait", "it is handed out");
  server.serveHanded();
  assertEquals(done, ["1", "2"]);
});
