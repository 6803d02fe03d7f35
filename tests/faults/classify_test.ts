import { assertEquals } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { type Classification, classify, type RunReturn } from "../../src/faults/classify.ts";

const [EINTR, EAGAIN, ENOMEM, EFAULT, EINVAL, EHWPOISON] = [4, 11, 12, 14, 22, 133];
const EXIT: Classification = { kind: "exit" };
const ANNOTATED: Classification = { kind: "fault", shape: "annotated" };
const UNANNOTATED: Classification = { kind: "fault", shape: "unannotated" };
const AS_MMIO: Classification = { kind: "fault", shape: "disguised", as: "mmio" };
const AS_EMULATION: Classification = { kind: "fault", shape: "disguised", as: "emulation" };

function failed(errno: number, exitReason: number): RunReturn {
  return { result: -1, errno, exitReason };
}

function mmio(slot: "ram" | "rom" | "gmem" | undefined, isWrite: boolean): RunReturn {
  return { result: 0, exitReason: KVM_EXIT.MMIO, mmio: { slot, isWrite } };
}

function internalError(suberror: number, memoryFailed: boolean): RunReturn {
  const exitReason = KVM_EXIT.INTERNAL_ERROR;
  return { result: 0, exitReason, internalError: { suberror, memoryFailed } };
}

const ROWS: readonly [string, RunReturn, Classification][] = [
  ["a return of 0 is an exit", { result: 0, exitReason: KVM_EXIT.IO }, EXIT],
  ["EFAULT with MEMORY_FAULT is annotated", failed(EFAULT, KVM_EXIT.MEMORY_FAULT), ANNOTATED],
  ["EHWPOISON with MEMORY_FAULT is annotated", failed(EHWPOISON, 39), ANNOTATED],
  ["EFAULT with UNKNOWN is unannotated", failed(EFAULT, KVM_EXIT.UNKNOWN), UNANNOTATED],
  ["EHWPOISON with UNKNOWN is unannotated", failed(EHWPOISON, KVM_EXIT.UNKNOWN), UNANNOTATED],
  ["EFAULT with a stale IO is unannotated", failed(EFAULT, KVM_EXIT.IO), UNANNOTATED],
  ["EFAULT with a stale MMIO is unannotated", failed(EFAULT, KVM_EXIT.MMIO), UNANNOTATED],
  [
    "ENOMEM with a speculative MEMORY_FAULT is fatal",
    failed(ENOMEM, KVM_EXIT.MEMORY_FAULT),
    { kind: "failed", errno: ENOMEM },
  ],
  ["EINVAL is fatal", failed(EINVAL, 0), { kind: "failed", errno: EINVAL }],
  ["EINTR is no exit", failed(EINTR, KVM_EXIT.INTR), { kind: "interrupted" }],
  ["EINTR with a preserved reason is no exit", failed(EINTR, 2), { kind: "interrupted" }],
  ["EAGAIN is no exit", failed(EAGAIN, 0), { kind: "not_runnable" }],
  ["MMIO in no slot is an exit", mmio(undefined, true), EXIT],
  ["a read of MMIO in no slot is an exit", mmio(undefined, false), EXIT],
  ["MMIO in a slot is a fault", mmio("ram", true), AS_MMIO],
  ["a read of MMIO in a slot is a fault", mmio("ram", false), AS_MMIO],
  ["MMIO in a guest_memfd's slot is a fault", mmio("gmem", true), AS_MMIO],
  ["a write to a read-only slot is an exit", mmio("rom", true), EXIT],
  ["a read of a read-only slot as MMIO is a fault", mmio("rom", false), AS_MMIO],
  ["an emulation failure with RIP in a bad page is a fault", internalError(1, true), AS_EMULATION],
  ["an emulation failure with RIP in a good page is an exit", internalError(1, false), EXIT],
  ["another internal error is an exit, wherever RIP is", internalError(2, true), EXIT],
];

for (const [sentence, run, expected] of ROWS) {
  Deno.test(`R1, R5: ${sentence}`, () => assertEquals(classify(run), expected));
}
