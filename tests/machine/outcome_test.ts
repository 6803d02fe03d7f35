import { assertEquals } from "@std/assert";
import type { VmExit } from "../../src/exits/exit.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "../../src/machine/outcome.ts";
import type { CpuState } from "../../src/faults/locate.ts";

const FAIL_ENTRY: VmExit = {
  reason: "FAIL_ENTRY",
  code: 9,
  hardwareReason: 0x8000_0021n,
  hostCpu: 1,
};
const EMULATION: VmExit = { reason: "INTERNAL_ERROR", code: 17, suberror: 1, data: [], rip: 0x10n };
const MMIO: VmExit = {
  reason: "MMIO",
  code: 6,
  direction: "read",
  gpa: 0xd000_0000n,
  size: 1,
  data: new Uint8Array([0xff]),
  rip: 0x1000n,
};
const FAULT: Outcome = {
  kind: "memory_fault",
  fault: {
    shape: "annotated",
    errno: 14,
    gpa: 0x20_9000n,
    sizeBytes: 0x1000n,
    access: "read",
    private: false,
    flags: 0n,
    rip: 0x1007n,
    locatedBy: "KVM's annotation",
    slot: 0,
    hostState: "PROT_NONE",
    candidates: [],
  },
  attempts: [{ resolver: "lazy", note: "nothing there" }],
  state: {} as CpuState,
};

const EXPECTED: readonly [Outcome, code: number, text: string | RegExp][] = [
  [{ kind: "halt" }, 0, "guest halted (HLT)"],
  [{ kind: "power_off" }, 0, "guest powered off"],
  [{ kind: "reset" }, 0, "guest asked for a reset"],
  [{ kind: "panic" }, 34, "guest panicked (pvpanic)"],
  [{ kind: "output_closed" }, 0, "the reader closed the output"],
  [{ kind: "host_limit", what: "mmap: no" }, 6, "the host refuses: mmap: no"],
  [
    { kind: "shutdown", registersLost: true },
    22,
    "guest shut down by a triple fault; KVM has reset the vCPU, and its registers are gone",
  ],
  [{ kind: "output_failed", what: "stdout: disk full" }, 10, "cannot write stdout: disk full"],
  [
    FAULT,
    20,
    /^memory fault: gpa=0x209000 size=0x1000 access=read shared errno=EFAULT .*rip=0x1007/,
  ],
  [{ kind: "shutdown" }, 22, "guest shut down by a triple fault"],
  [{ kind: "shutdown", rip: 0x1234n }, 22, "guest shut down by a triple fault rip=0x1234"],
  [
    { kind: "internal_error", exit: EMULATION },
    24,
    "KVM internal error: suberror=1 (EMULATION) data=[] rip=0x10",
  ],
  [
    { kind: "fail_entry", exit: FAIL_ENTRY },
    26,
    "KVM could not enter the guest: hardware_reason=0x80000021 " +
    "(VMX INVALID_STATE (entry failure)) host_cpu=1",
  ],
  [
    { kind: "unhandled", exit: MMIO },
    28,
    "unhandled exit: MMIO read gpa=0xd0000000 size=1 data=0xff rip=0x1000",
  ],
  [{ kind: "max_exits", limit: 7 }, 30, "stopped after 7 exits"],
  [
    { kind: "run_failed", errno: 12 },
    32,
    "KVM_RUN failed: Cannot allocate memory (ENOMEM); no exit reason is available",
  ],
  [{ kind: "timeout", timeoutMs: 500 }, 124, "timeout after 500 ms"],
  [{ kind: "interrupted", signal: "SIGINT" }, 130, "interrupted (SIGINT)"],
  [{ kind: "stopped" }, 0, "stopped by the program that ran the guest"],
  [{ kind: "quit", keys: "Ctrl-A x" }, 130, "quit with Ctrl-A x"],
];

for (const [outcome, code, text] of EXPECTED) {
  Deno.test(`the outcome ${outcome.kind} has the exit code ${code} and its text`, () => {
    assertEquals(exitCodeOf(outcome), code);
    const described = describeOutcome(outcome);
    if (typeof text === "string") assertEquals(described, text);
    else assertEquals(text.test(described), true, described);
  });
}

Deno.test("a guest that chooses its exit code gets an odd one, all others are even", () => {
  for (let value = 0; value < 0x100; value++) {
    assertEquals(exitCodeOf({ kind: "debug_exit", value }), (value * 2 + 1) & 0xff);
  }
  for (const [outcome] of EXPECTED) assertEquals(exitCodeOf(outcome) % 2, 0, outcome.kind);
  assertEquals(
    describeOutcome({ kind: "debug_exit", value: 0x21 }),
    "guest wrote 0x21 to the debug-exit port",
  );
});
