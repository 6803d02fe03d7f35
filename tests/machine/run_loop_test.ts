/**
 * The run loop on a vCPU that follows a script: exits that no host can be made to
 * produce, and how the loop handles each return of `KVM_RUN`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import {
  KVM_RUN_FAIL_ENTRY,
  KVM_RUN_IO,
  KVM_RUN_MMIO,
  KVM_RUN_MSR,
  KVM_RUN_REGS_OFFSET,
  KVM_RUN_STRUCT,
  KVM_RUN_SYSTEM_EVENT,
  KVM_SYNC_X86_REGS,
} from "../../ffi/kvm_run.ts";
import { encode } from "../../ffi/layout.ts";
import { errnoCell } from "../../ffi/libc.ts";
import { KVM_REGS } from "../../ffi/vcpu_structs.ts";
import { MmioBus, PortBus } from "../../src/devices/bus.ts";
import { DebugConsole } from "../../src/devices/debugcon.ts";
import { DebugExitPort } from "../../src/devices/debug_exit_port.ts";
import type { VmExit } from "../../src/exits/exit.ts";
import type { FaultHandler } from "../../src/faults/handler.ts";
import type { FaultOrigin } from "../../src/faults/origin.ts";
import { ExitCycle } from "../../src/kvm/exit_cycle.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import type { Vcpu } from "../../src/kvm/vcpu.ts";
import { NO_MSRS } from "../../src/machine/msr.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import type { RunContext, RunControl } from "../../src/machine/run_context.ts";
import { runLoop } from "../../src/machine/run_loop.ts";
import { serve } from "../../src/machine/serve.ts";
import { RunStatistics } from "../../src/machine/statistics.ts";
import type { GuestMemory } from "../../src/memory/guest_memory.ts";
import type { SlotKind } from "../../src/memory/slots.ts";
import { kvmRun, PORT_DATA } from "../exits/samples.ts";
import { observer } from "../lib/machine.ts";

/** A machine with one vCPU, about to run. */
function control(): RunControl {
  return { outcome: undefined, secondaries: undefined, serve };
}

/** What one `KVM_RUN` comes back with: a page, or -1 with an errno. */
type Step = Uint8Array<ArrayBuffer> | Failure;

interface Failure {
  readonly errno: number;
  /** What the page says nevertheless. */
  readonly page?: Uint8Array<ArrayBuffer>;
  /** What happens while the guest runs. */
  meanwhile?(context: RunContext): void;
}

const [EINTR, EAGAIN, ENOMEM, EFAULT, EINVAL, EHWPOISON] = [4, 11, 12, 14, 22, 133];
const HALT: Step = kvmRun(KVM_EXIT.HLT);
const INTERRUPTED: Failure = { errno: EINTR };

/** A vCPU that follows a script. */
class ScriptedCycle extends ExitCycle {
  context: RunContext | undefined;
  runs = 0;
  readonly #bytes: Uint8Array;
  readonly #steps: readonly Step[];

  constructor(steps: readonly Step[]) {
    const bytes = new Uint8Array(3 * 4096);
    super(new ExitPage(bytes), -1, "the vCPU");
    this.#bytes = bytes;
    this.#steps = steps;
  }

  protected override enter(): number {
    const step = this.#steps[this.runs++];
    assert(step, "the loop runs on behind the script's end");
    if (step instanceof Uint8Array) {
      this.#bytes.set(step);
      return 0;
    }
    if (step.page) this.#bytes.set(step.page);
    step.meanwhile?.(this.context!);
    errnoCell[0] = step.errno;
    return -1;
  }
}

/** A debugger that asked for every debug exit. */
function debugging(handle: () => Outcome | undefined): RunContext["debug"] {
  return { handle, isStepOver: () => false, instructionAt: () => "nop" };
}

interface Run {
  readonly outcome: Outcome | undefined;
  readonly context: RunContext;
  readonly seen: readonly string[];
  readonly origins: readonly FaultOrigin[];
  readonly output: readonly number[];
  readonly runs: number;
}

/** Lets the loop follow a script. Memory faults are none, whatever is taken for one. */
function follow(
  steps: readonly Step[],
  changes: Partial<RunContext> = {},
  slot?: SlotKind,
  csBase = 0n,
): Run {
  const cycle = new ScriptedCycle(steps);
  const ports = new PortBus();
  const output: number[] = [];
  ports.add({ start: 0xe9, size: 1 }, new DebugConsole((byte) => output.push(byte)));
  const seen: string[] = [];
  const origins: FaultOrigin[] = [];
  const context: RunContext = {
    vcpu: {
      id: 0,
      cycle,
      page: cycle.page,
      sregs: () => ({ cs: { base: csBase } }),
    } as unknown as Vcpu,
    memory: { slotAt: () => slot && { kind: slot } } as unknown as GuestMemory,
    ports,
    mmio: new MmioBus(),
    msrs: NO_MSRS,
    faults: {
      handle(origin: FaultOrigin) {
        origins.push(origin);
        return { kind: "no_fault" };
      },
    } as unknown as FaultHandler,
    statistics: new RunStatistics(true),
    observer: observer((exit, cpu, handler) => {
      seen.push(`${exit.reason} ${cpu} ${handler ?? "unserved"}`);
    }),
    maxExits: Infinity,
    unclaimed: { port: () => false, gpa: () => false },
    debug: debugging(() => undefined),
    control: control(),
    ...changes,
  };
  ports.add(
    { start: 0xf4, size: 1 },
    new DebugExitPort((value) => {
      context.control.outcome ??= { kind: "debug_exit", value };
    }),
  );
  cycle.context = context;
  runLoop(context);
  return { outcome: context.control.outcome, context, seen, origins, output, runs: cycle.runs };
}

function out(port: number, ...data: number[]): Step {
  const area = kvmRun(KVM_EXIT.IO, KVM_RUN_IO, {
    direction: 1,
    size: 1,
    port,
    count: data.length,
    data_offset: BigInt(PORT_DATA),
  });
  area.set(data, PORT_DATA);
  return area;
}

function mmio(gpa: bigint, isWrite = true): Step {
  return kvmRun(KVM_EXIT.MMIO, KVM_RUN_MMIO, {
    phys_addr: gpa,
    len: 4,
    is_write: isWrite ? 1 : 0,
  });
}

Deno.test("exits are served and counted until one ends the run", () => {
  const { outcome, output, seen, context } = follow([out(0xe9, 0x48, 0x69), out(0x80, 1), HALT]);
  assertEquals(outcome, { kind: "halt" });
  assertEquals(output, [0x48, 0x69], "a synthetic string of two");
  assertEquals(seen, ["IO 0 debugcon", "IO 0 unserved", "HLT 0 unserved"]);
  assertEquals(context.statistics.byReason(), [[KVM_EXIT.IO, 2], [KVM_EXIT.HLT, 1]]);
  assertEquals(context.statistics.byPort(), [[0x80, 1], [0xe9, 1]]);
});

Deno.test("an observer sees only the reasons that it asks for", () => {
  const wanted = new Uint8Array(256);
  wanted[KVM_EXIT.HLT] = 1;
  const seen: string[] = [];
  follow([out(0xe9, 1), mmio(0n), HALT], {
    observer: { ...observer((exit) => seen.push(exit.reason)), wanted },
  });
  assertEquals(seen, ["HLT"]);
});

Deno.test("the run continues after routine exits", () => {
  const routine = [KVM_EXIT.IRQ_WINDOW_OPEN, KVM_EXIT.SET_TPR, KVM_EXIT.X86_BUS_LOCK];
  const { outcome, context } = follow([...routine.map((reason) => kvmRun(reason)), HALT]);
  assertEquals(outcome, { kind: "halt" });
  assertEquals(context.statistics.exits, 4);
});

Deno.test("each system event has its outcome", () => {
  const event = (type: number) =>
    follow([kvmRun(KVM_EXIT.SYSTEM_EVENT, KVM_RUN_SYSTEM_EVENT, { type, ndata: 0 })]).outcome;
  assertEquals(event(1), { kind: "power_off" });
  assertEquals(event(2), { kind: "reset" });
  assertEquals(event(3)?.kind, "unhandled");
});

Deno.test("exits that end the run have their outcomes, with the exit", () => {
  const entry = kvmRun(KVM_EXIT.FAIL_ENTRY, KVM_RUN_FAIL_ENTRY, { cpu: 1 });
  const failed = follow([entry]).outcome;
  assert(failed?.kind === "fail_entry" && failed.exit.reason === "FAIL_ENTRY");
  const unhandled = follow([kvmRun(KVM_EXIT.XEN)]).outcome;
  assert(unhandled?.kind === "unhandled" && unhandled.exit.reason === "XEN");
});

Deno.test("the run continues after an access to an MSR, with a #GP if no handler answers", () => {
  const read = kvmRun(KVM_EXIT.X86_RDMSR, KVM_RUN_MSR, { index: 0x12345, error: 0 });
  const write = kvmRun(KVM_EXIT.X86_WRMSR, KVM_RUN_MSR, { index: 0x12345, error: 0 });
  const end = kvmRun(KVM_EXIT.HLT);
  const refused = follow([read, write, end]);
  assertEquals(refused.outcome, { kind: "halt" });
  assertEquals(refused.seen, ["X86_RDMSR 0 unserved", "X86_WRMSR 0 unserved", "HLT 0 unserved"]);
  const msrs = { name: "mine", read: () => 1n, write: () => true };
  const answered = follow([read, write, end], { msrs });
  assertEquals(answered.seen, ["X86_RDMSR 0 mine", "X86_WRMSR 0 mine", "HLT 0 unserved"]);
});

Deno.test("an exit with an unknown reason ends the run as unhandled", () => {
  const { outcome, seen } = follow([kvmRun(0x1234)]);
  assert(outcome?.kind === "unhandled");
  assertEquals([outcome.exit.reason, outcome.exit.code], ["UNRECOGNIZED", 0x1234]);
  assertEquals(seen, ["UNRECOGNIZED 0 unserved"]);
});

for (
  const [base, rip, what] of [
    [0xffff_0000n, undefined, "is dropped where KVM has reset the vCPU"],
    [0xf_0000n, 0xfff0n, "is the guest's where CS is not as a reset leaves it"],
  ] as const
) {
  Deno.test(`R13: at a triple fault RIP 0xfff0 ${what}`, () => {
    const page = kvmRun(KVM_EXIT.SHUTDOWN);
    encode(
      KVM_RUN_STRUCT,
      { exit_reason: KVM_EXIT.SHUTDOWN, kvm_valid_regs: BigInt(KVM_SYNC_X86_REGS) },
      page,
    );
    encode(KVM_REGS, { rip: 0xfff0n }, page, KVM_RUN_REGS_OFFSET);
    const exits: VmExit[] = [];
    const { outcome } = follow(
      [page],
      {
        observer: observer((exit) => exits.push(exit)),
      },
      undefined,
      base,
    );
    assertEquals(outcome?.kind, "shutdown");
    assertEquals(exits.map((exit) => exit.rip), [rip]);
  });
}

Deno.test("exits that may be a memory fault in disguise are looked into first", () => {
  const shutdown = follow([kvmRun(KVM_EXIT.SHUTDOWN)]);
  assertEquals(shutdown.outcome, { kind: "shutdown" });
  assertEquals(shutdown.origins.map(({ disguise }) => disguise), ["shutdown"]);
  assertEquals(shutdown.seen, ["SHUTDOWN 0 unserved"]);
  const internal = follow([kvmRun(KVM_EXIT.INTERNAL_ERROR)]);
  assertEquals(internal.outcome?.kind, "internal_error");
  assertEquals(internal.origins.map(({ disguise }) => disguise), ["emulation"]);
});

Deno.test("an interruption is not an exit, and the run may continue", () => {
  const { outcome, context, seen } = follow([INTERRUPTED]);
  assertEquals(outcome, undefined);
  assertEquals([context.statistics.exits, seen], [0, []]);
});

Deno.test("an interruption ends the run if a stop was requested", () => {
  const stop: Outcome = { kind: "interrupted", signal: "SIGINT" };
  const { outcome } = follow([{
    ...INTERRUPTED,
    meanwhile: (context) => context.control.outcome = stop,
  }]);
  assertEquals(outcome, stop);
});

Deno.test("a run that was stopped before it began does not enter the guest", () => {
  const stop: Outcome = { kind: "interrupted", signal: "SIGINT" };
  const { outcome, runs } = follow([], { control: { ...control(), outcome: stop } });
  assertEquals([outcome, runs], [stop, 0]);
});

Deno.test("a vCPU that is not runnable yet is entered again, without an exit", () => {
  const waiting: Step = { errno: EAGAIN };
  const { outcome, context, runs } = follow([waiting, waiting, HALT]);
  assertEquals(outcome, { kind: "halt" });
  assertEquals([runs, context.statistics.exits], [3, 1]);
});

Deno.test("R1: a KVM_RUN that failed ends the run with its errno, and nothing is decoded", () => {
  const { outcome, seen, origins, context } = follow([
    out(0xe9, 1),
    { errno: ENOMEM },
  ]);
  assertEquals(outcome, { kind: "run_failed", errno: 12 });
  assertEquals([seen.length, origins.length, context.statistics.exits], [1, 0, 1]);
});

Deno.test("the run ends with the last exit that it may have, when that was served", () => {
  const { outcome, output, runs } = follow([out(0xe9, 1), out(0xe9, 2)], { maxExits: 2 });
  assertEquals(outcome, { kind: "max_exits", limit: 2 });
  assertEquals([output, runs], [[1, 2], 2]);
  assertEquals(follow([HALT], { maxExits: 1 }).outcome, { kind: "halt" });
});

Deno.test("an unclaimed access ends the run if the policy says so", () => {
  const asked: string[] = [];
  const note = (space: "port" | "gpa") => (address: number) => {
    asked.push(`${space} ${address.toString(16)}`);
    return space === "gpa";
  };
  const unclaimed: RunContext["unclaimed"] = { port: note("port"), gpa: note("gpa") };
  const { outcome, seen } = follow([out(0x80, 1), out(0xe9, 1), mmio(0xd000_0000n)], { unclaimed });
  assert(outcome?.kind === "unhandled" && outcome.exit.reason === "MMIO");
  assertEquals(asked, ["port 80", "gpa d0000000"]);
  assertEquals(seen.at(-1), "MMIO 0 unserved");
});

Deno.test("a device can end the run, when its exit was seen", () => {
  const { outcome, seen } = follow([out(0xf4, 7, 8)]);
  assertEquals(outcome, { kind: "debug_exit", value: 7 }, "the first of a string counts");
  assertEquals(seen, ["IO 0 debug-exit"]);
});

Deno.test("the run continues or ends after a debug exit, as the debugger says", () => {
  const debug = kvmRun(KVM_EXIT.DEBUG);
  const outcomes: (Outcome | undefined)[] = [undefined, { kind: "reset" }];
  const { outcome, runs } = follow([debug, debug], { debug: debugging(() => outcomes.shift()) });
  assertEquals([outcome, runs], [{ kind: "reset" }, 2]);
});

/** A page with an exit reason, also with one that means nothing. */
function failed(errno: number, reason: number): Step {
  return { errno, page: kvmRun(reason) };
}

/** What the loop takes a return of `KVM_RUN` for. */
function taken(step: Step, slot?: SlotKind): string {
  const { outcome, origins, context: { statistics } } = follow([step, HALT], {}, slot);
  const [origin] = origins;
  if (origin) return origin.disguise ? `fault disguised as ${origin.disguise}` : origin.shape;
  if (outcome?.kind === "run_failed") return `failed with ${outcome.errno}`;
  return statistics.exits > 1 ? "exit" : "no exit";
}

const GPA = 0x10_0000n;
const ROWS: readonly [sentence: string, step: Step, slot: SlotKind | undefined, is: string][] = [
  ["a return of 0 is an exit", out(0xe9, 1), undefined, "exit"],
  ["EFAULT with MEMORY_FAULT is annotated", failed(EFAULT, 39), undefined, "annotated"],
  ["EHWPOISON with MEMORY_FAULT is annotated", failed(EHWPOISON, 39), undefined, "annotated"],
  ["EFAULT with UNKNOWN is unannotated", failed(EFAULT, 0), undefined, "unannotated"],
  ["EHWPOISON with UNKNOWN is unannotated", failed(EHWPOISON, 0), undefined, "unannotated"],
  ["EFAULT with a stale IO is unannotated", failed(EFAULT, 2), undefined, "unannotated"],
  ["EFAULT with a stale MMIO is unannotated", failed(EFAULT, 6), undefined, "unannotated"],
  ["ENOMEM with MEMORY_FAULT is fatal", failed(ENOMEM, 39), undefined, "failed with 12"],
  ["EINVAL is fatal", failed(EINVAL, 0), undefined, "failed with 22"],
  ["EAGAIN is not an exit", failed(EAGAIN, 0), undefined, "no exit"],
  ["a write of MMIO in no slot is an exit", mmio(GPA), undefined, "exit"],
  ["a read of MMIO in no slot is an exit", mmio(GPA, false), undefined, "exit"],
  ["MMIO in a slot is a fault", mmio(GPA), "ram", "fault disguised as mmio"],
  ["a read of MMIO in a slot is a fault", mmio(GPA, false), "ram", "fault disguised as mmio"],
  ["MMIO in a guest_memfd's slot is a fault", mmio(GPA), "gmem", "fault disguised as mmio"],
  ["a write to a read-only slot is an exit", mmio(GPA), "rom", "exit"],
  ["a read of a read-only slot is a fault", mmio(GPA, false), "rom", "fault disguised as mmio"],
];

for (const [sentence, step, slot, expected] of ROWS) {
  Deno.test(`R1, R5: ${sentence}`, () => assertEquals(taken(step, slot), expected));
}

Deno.test("the step past a breakpoint is neither counted nor shown; others are, with the instruction", () => {
  const debug = kvmRun(KVM_EXIT.DEBUG);
  const stepsOver = [false, true, false];
  const seen: (string | undefined)[] = [];
  const { context } = follow([debug, debug, debug, HALT], {
    debug: { ...debugging(() => undefined), isStepOver: () => stepsOver.shift()! },
    observer: observer((exit) => seen.push(exit.reason === "DEBUG" ? exit.instructionText : "HLT")),
  });
  assertEquals(seen, ["nop", "nop", "HLT"]);
  assertEquals(context.statistics.exits, 3);
});
