/**
 * How fast guests run in each processor mode: natively, or instruction by
 * instruction in KVM's emulator. A tiny guest counts down and reports with an OUT.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import type { FlatProtocol } from "../boot/flat.ts";
import { planFlat } from "../boot/flat.ts";
import { ThreadAlarm } from "../kvm/alarm.ts";
import { RunResult } from "../kvm/run_result.ts";
import { RFLAGS } from "../x86/control_registers.ts";
import { flatSegment } from "../x86/segments.ts";
import { VirtualMachine } from "../machine/machine.ts";

/** A mode of the processor in which guests are measured; CPL is the privilege level. */
export type ExecutionMode = "real" | "protected" | "long_cpl0" | "long_cpl3";

/** How a mode is executed, judged by its speed. */
export type Execution = "native" | "slow" | "emulated";

/** One mode's speed, or why it could not be measured. */
export type ModeSpeed =
  & { readonly mode: ExecutionMode }
  & (
    | { readonly execution: Execution; readonly instructionsPerSecond: number }
    | { readonly execution: "failed"; readonly why: string }
  );

/**
 * Instructions per second from which a mode counts as native. Processors retire
 * this loop at some 10⁹ a second; an emulator in software does 10⁶ to 10⁷.
 */
export const NATIVE_FROM = 100e6;
/** Instructions per second below which a mode counts as emulated. */
export const EMULATED_BELOW = 30e6;

/**
 * The guest: counts ECX down to 0, then writes to port 0x80.
 *
 *     1: dec ecx      ff c9, in 16-bit code with the operand-size prefix 66
 *        jnz 1b       75 fc (75 fb)
 *        out 0x80, al e6 80
 */
const LOOP = [0xff, 0xc9, 0x75, 0xfc, 0xe6, 0x80];
const LOOP_16_BIT = [0x66, 0xff, 0xc9, 0x75, 0xfb, 0xe6, 0x80];
/** `dec` and `jnz`. */
const INSTRUCTIONS_PER_TURN = 2;

const MODES: readonly (readonly [ExecutionMode, FlatProtocol, readonly number[]])[] = [
  ["real", "flat16", LOOP_16_BIT],
  ["protected", "flat32", LOOP],
  ["long_cpl0", "flat64", LOOP],
  ["long_cpl3", "flat64", LOOP],
];

const MEMORY_BYTES = 2 << 20;
const FIRST_TURNS = 5000;
const MAX_TURNS = 0xffff_ffff;
/** A run of this many milliseconds is long enough; after shorter ones follows one with more turns. */
const ENOUGH_MS = 8;
/** How many runs have to be long enough: one alone may have waited for the host. */
const RUNS = 4;
const GOAL_MS = 12;
/** A guest that takes longer for one measurement has failed. */
const LIMIT_MS = 5000;

/** Judges a speed. @param instructionsPerSecond of the counting loop */
export function judgeSpeed(instructionsPerSecond: number): Execution {
  if (instructionsPerSecond >= NATIVE_FROM) return "native";
  return instructionsPerSecond < EMULATED_BELOW ? "emulated" : "slow";
}

/**
 * Measures every mode, each for some 40 to 60 milliseconds.
 *
 * @param kvmPath the KVM device
 *
 * @example
 * ```ts
 * import { measureExecution } from "./execution_speed.ts";
 * for (const { mode, execution } of measureExecution()) console.log(mode, execution);
 * ```
 */
export function measureExecution(kvmPath?: string): ModeSpeed[] {
  return MODES.map(([mode, protocol, code]) => {
    try {
      const instructionsPerSecond = measureMode(mode, protocol, code, kvmPath);
      return { mode, instructionsPerSecond, execution: judgeSpeed(instructionsPerSecond) };
    } catch (error) {
      return { mode, execution: "failed", why: (error as Error).message };
    }
  });
}

function measureMode(
  mode: ExecutionMode,
  protocol: FlatProtocol,
  code: readonly number[],
  kvmPath: string | undefined,
): number {
  using machine = new VirtualMachine({
    memoryBytes: MEMORY_BYTES,
    ...(kvmPath === undefined ? {} : { kvmPath }),
  });
  using alarm = new ThreadAlarm();
  const plan = planFlat(new Uint8Array(code), protocol, { ram: machine.memory.ranges });
  machine.boot(plan);
  if (mode === "long_cpl3") dropPrivilege(machine);
  const { rip, rsp } = plan.entry;
  // OUT at CPL 3 needs IOPL 3.
  const rflags = RFLAGS.FIXED | RFLAGS.IOPL;

  return loopSpeed((turns) => {
    machine.vcpu.setRegs({ rip, rsp, rflags, rcx: BigInt(turns) });
    alarm.arm(LIMIT_MS);
    const start = performance.now();
    const result = machine.vcpu.run();
    const elapsedMs = performance.now() - start;
    if (alarm.disarm()) throw new Error(`the guest had not finished after ${LIMIT_MS} ms`);
    if (result !== RunResult.exit || machine.vcpu.page.reason !== KVM_EXIT.IO) {
      throw new Error(unexpected(machine, result));
    }
    machine.vcpu.cycle.completePending();
    return elapsedMs;
  });
}

/**
 * The speed of the guest's loop, by the fastest of several runs that take long enough. A run that
 * the host held up, such as the first one, does not count.
 *
 * @param run runs the loop, and says how many milliseconds that took
 * @returns instructions per second
 *
 * @example
 * ```ts
 * import { loopSpeed } from "./execution_speed.ts";
 * let starts = 0;
 * console.log(loopSpeed((turns) => turns / 1e6 + (starts++ === 0 ? 50 : 0))); // 2000000000
 * ```
 */
export function loopSpeed(run: (turns: number) => number): number {
  for (let turns = FIRST_TURNS;;) {
    let fastestMs = Infinity;
    for (let i = 0; i < RUNS && fastestMs >= ENOUGH_MS; i++) {
      fastestMs = Math.min(fastestMs, run(turns));
    }
    if (fastestMs >= ENOUGH_MS || turns === MAX_TURNS) {
      return turns * INSTRUCTIONS_PER_TURN / fastestMs * 1000;
    }
    const factor = Math.min(100, Math.max(2, GOAL_MS / fastestMs));
    turns = Math.min(MAX_TURNS, Math.round(turns * factor));
  }
}

/** Enters the code at CPL 3: DPL 3 in the code and the stack segment. */
export function dropPrivilege({ vcpu }: VirtualMachine): void {
  const sregs = vcpu.sregs();
  sregs.cs = flatSegment({ type: "code", bits: 64, selector: 0x1b, dpl: 3 });
  const data = flatSegment({ type: "data", bits: 64, selector: 0x23, dpl: 3 });
  for (const name of ["ds", "es", "fs", "gs", "ss"] as const) sregs[name] = data;
  vcpu.setSregs(sregs);
}

function unexpected({ vcpu }: VirtualMachine, result: RunResult): string {
  if (result !== RunResult.exit) return `KVM_RUN failed with errno ${vcpu.cycle.errno}`;
  const reason = Object.entries(KVM_EXIT).find(([, code]) => code === vcpu.page.reason)?.[0];
  return `the guest stopped with the exit ${reason ?? vcpu.page.reason}`;
}
