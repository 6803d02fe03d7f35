import {
  assert,
  assertEquals,
  assertFalse,
  assertGreaterOrEqual,
  assertLess,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { ThreadAlarm } from "../../src/kvm/alarm.ts";
import { DisposedError } from "../../src/kvm/descriptor.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import { code, TestGuest } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

/** `jmp $` */
const SPIN = code("eb fe");
/** `sti; hlt; jmp $-1` */
const SLEEP = code("fb f4 eb fd");
/** An upper bound for a busy machine, far below what a hung test would take. */
const GENEROUS_MS = 5000;

/** Whether the alarm's signal, number 34, is blocked or pending in this thread. */
function signalIs(state: "blocked" | "pending"): boolean {
  const field = { blocked: "SigBlk", pending: "SigPnd" }[state];
  const status = Deno.readTextFileSync("/proc/thread-self/status");
  const [, mask] = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, "m").exec(status)!;
  return (BigInt(`0x${mask}`) >> 33n & 1n) === 1n;
}

/** Runs the vCPU under an alarm. @returns its result and how many milliseconds it took */
function runFor(guest: TestGuest, delayMs: number): [RunResult, number] {
  using alarm = new ThreadAlarm();
  alarm.guard(guest.vcpu);
  const start = performance.now();
  alarm.arm(delayMs);
  const result = guest.vcpu.run();
  const ms = performance.now() - start;
  assert(alarm.disarm(), "the alarm had gone off");
  return [result, ms];
}

Deno.test("an alarm that is taken back in time has not gone off", () => {
  using alarm = new ThreadAlarm();
  alarm.arm(60_000);
  assertFalse(alarm.disarm());
  assertFalse(alarm.disarm());
});

Deno.test("an alarm that went off outside a guest is told once and harms nobody", () => {
  using alarm = new ThreadAlarm();
  alarm.arm(0);
  const deadline = performance.now() + GENEROUS_MS;
  while (!signalIs("pending")) assertLess(performance.now(), deadline);
  assert(alarm.disarm());
  assertFalse(alarm.disarm());
});

Deno.test("the signal is blocked as long as the thread has an alarm, in whatever order they go", () => {
  assertFalse(signalIs("blocked"));
  const first = new ThreadAlarm();
  const second = new ThreadAlarm();
  assert(signalIs("blocked"));
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert(signalIs("blocked"), "the second alarm still needs it");
  second[Symbol.dispose]();
  assertFalse(signalIs("blocked"));
});

Deno.test("a disposed alarm cannot be set", () => {
  const alarm = new ThreadAlarm();
  alarm[Symbol.dispose]();
  assertThrows(() => alarm.arm(1), DisposedError, "the alarm was used after it was disposed");
  assertThrows(() => alarm.disarm(), DisposedError);
});

kvmTest("an alarm interrupts a guest that spins", () => {
  using guest = new TestGuest();
  guest.enterReal(SPIN);
  const [result, ms] = runFor(guest, 20);
  assertEquals(result, RunResult.interrupted);
  assertGreaterOrEqual(ms, 20);
  assertLess(ms, GENEROUS_MS);
});

kvmTest("an alarm interrupts a guest that halts inside the kernel", () => {
  using guest = new TestGuest({ irqchip: true });
  guest.enterReal(SLEEP);
  const [result, ms] = runFor(guest, 20);
  assertEquals(result, RunResult.interrupted);
  assertGreaterOrEqual(ms, 20);
  assertLess(ms, GENEROUS_MS);
});

kvmTest("an alarm that went off before the guest is entered brings it back at once", () => {
  using guest = new TestGuest();
  guest.enterReal(SPIN);
  for (let i = 0; i < 20; i++) assertEquals(runFor(guest, 0)[0], RunResult.interrupted);
});

kvmTest("an interrupted guest resumes where it was", () => {
  using guest = new TestGuest();
  guest.enterReal(code("66 49 eb fc")); // dec ecx; jmp $-2
  runFor(guest, 5);
  const before = guest.vcpu.regs();
  runFor(guest, 5);
  assertNotEquals(guest.vcpu.regs().rcx, before.rcx);
  assert([0x1000n, 0x1002n].includes(guest.vcpu.regs().rip));
});

kvmTest("an alarm works on after another of the same thread is disposed", () => {
  using guest = new TestGuest();
  guest.enterReal(SPIN);
  const other = new ThreadAlarm();
  using alarm = new ThreadAlarm();
  alarm.guard(guest.vcpu);
  other[Symbol.dispose]();
  alarm.arm(1);
  assertEquals(guest.vcpu.run(), RunResult.interrupted);
  assert(alarm.disarm());
});
