/**
 * Decodes the exit page (`struct kvm_run`) to a {@linkcode VmExit}, when a trace, a handler or an
 * outcome needs one.
 *
 * @module
 */

import {
  KVM_EXIT,
  KVM_EXIT_HYPERV,
  KVM_INTERNAL_ERROR,
  KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
  KVM_MEMORY_EXIT_FLAG_PRIVATE,
} from "../../ffi/kvm_consts.ts";
import * as run from "../../ffi/kvm_run.ts";
import type { ExitPage } from "../kvm/exit_page.ts";
import type { ExitReasonName, HypervExit, InternalErrorExit, VmExit } from "./exit.ts";

const REASON_NAMES = new Map<number, ExitReasonName>(
  Object.entries(KVM_EXIT).map(([name, code]) => [code, name as ExitReasonName]),
);

/** The name of an exit reason's number, or `undefined` where it has none (yet). */
export function exitReasonName(code: number): ExitReasonName | undefined {
  return REASON_NAMES.get(code);
}

/**
 * Decodes the exit that a vCPU left on its page. Byte arrays of an exit are views of
 * the page, good until the guest runs again.
 *
 * Only call it where the return of `KVM_RUN` says that the payload is valid (R1).
 *
 * @example
 * ```ts
 * import { ExitPage } from "../kvm/exit_page.ts";
 * import { decodeExit } from "./decode.ts";
 * const bytes = new Uint8Array(12288);
 * bytes[8] = 5; // exit_reason
 * console.log(decodeExit(new ExitPage(bytes))); // { reason: "HLT", code: 5 }
 * ```
 */
export function decodeExit(page: ExitPage): VmExit {
  const exit = decodePayload(page);
  const { rip } = page;
  if (rip !== undefined) (exit as { rip?: bigint }).rip = rip;
  return exit;
}

function decodePayload(page: ExitPage): VmExit {
  const code = page.reason;
  const reason = REASON_NAMES.get(code);
  switch (reason) {
    case undefined:
      return { reason: "UNRECOGNIZED", code, raw: page.rawPayload() };
    case "IO": {
      const { isOut, port, sizeBytes: size, count, data } = page.io;
      return { reason, code, direction: isOut ? "out" : "in", port, size, count, data };
    }
    case "MMIO": {
      const { isWrite, exactGpa: gpa, data } = page.mmio;
      const direction = isWrite ? "write" : "read";
      return { reason, code, direction, gpa, size: data.length, data };
    }
    case "MEMORY_FAULT": {
      const { flags, gpa, size } = page.payload(run.KVM_RUN_MEMORY_FAULT);
      const isPrivate = (flags & KVM_MEMORY_EXIT_FLAG_PRIVATE) !== 0n;
      return { reason, code, flags, gpa, size, private: isPrivate };
    }
    case "INTERNAL_ERROR":
      return decodeInternalError(page, code);
    case "FAIL_ENTRY": {
      const { hardware_entry_failure_reason: hardwareReason, cpu: hostCpu } = page.payload(
        run.KVM_RUN_FAIL_ENTRY,
      );
      return { reason, code, hardwareReason, hostCpu };
    }
    case "UNKNOWN": {
      const { hardware_exit_reason: hardwareReason } = page.payload(run.KVM_RUN_HW);
      return { reason, code, hardwareReason };
    }
    case "EXCEPTION": {
      const { exception: vector, error_code: errorCode } = page.payload(run.KVM_RUN_EX);
      return { reason, code, vector, errorCode };
    }
    case "DEBUG": {
      const { exception: vector, pc, dr6, dr7 } = page.payload(run.KVM_RUN_DEBUG).arch;
      return { reason, code, vector, pc, dr6, dr7 };
    }
    case "HYPERCALL": {
      const { nr, args, flags } = page.payload(run.KVM_RUN_HYPERCALL);
      return { reason, code, nr, args, flags };
    }
    case "TPR_ACCESS": {
      const { rip: accessRip, is_write } = page.payload(run.KVM_RUN_TPR_ACCESS);
      return { reason, code, direction: is_write ? "write" : "read", accessRip };
    }
    case "SYSTEM_EVENT": {
      const { type, ndata, data } = page.payload(run.KVM_RUN_SYSTEM_EVENT);
      return { reason, code, type, data: data.slice(0, ndata) };
    }
    case "IOAPIC_EOI":
      return { reason, code, vector: page.payload(run.KVM_RUN_EOI).vector };
    case "HYPERV":
      return { reason, code, detail: decodeHyperv(page) };
    case "XEN": {
      const { type, u: { hcall } } = page.payload(run.KVM_RUN_XEN);
      const { longmode, cpl, input, params } = hcall;
      return { reason, code, type, longMode: longmode !== 0, cpl, input, params };
    }
    case "X86_RDMSR":
    case "X86_WRMSR": {
      const { error, reason: why, index, data } = page.payload(run.KVM_RUN_MSR);
      return { reason, code, index, data, refused: error !== 0, why };
    }
    case "NOTIFY":
      return { reason, code, flags: page.payload(run.KVM_RUN_NOTIFY).flags };
    case "TDX": {
      const { flags, nr, unknown } = page.payload(run.KVM_RUN_TDX);
      return { reason, code, flags, nr, data: [unknown.ret, ...unknown.data] };
    }
    case "SNP_REQ_CERTS": {
      const { gpa, npages: pages } = page.payload(run.KVM_RUN_SNP_REQ_CERTS);
      return { reason, code, gpa, pages };
    }
    case "SET_TPR":
      return { reason, code, cr8: page.cr8 };
    case "HLT":
    case "IRQ_WINDOW_OPEN":
    case "SHUTDOWN":
    case "INTR":
    case "NMI":
    case "WATCHDOG":
    case "X86_BUS_LOCK":
    case "AP_RESET_HOLD":
    case "DIRTY_RING_FULL":
      return { reason, code };
    default:
      return { reason, code, raw: page.rawPayload() };
  }
}

function decodeInternalError(page: ExitPage, code: number): InternalErrorExit {
  const { suberror, ndata, data } = page.payload(run.KVM_RUN_INTERNAL);
  const valid = data.slice(0, ndata);
  const exit = { reason: "INTERNAL_ERROR", code, suberror, data: valid } as const;
  if (suberror !== KVM_INTERNAL_ERROR.EMULATION || ndata < 4) return exit;
  const failure = page.payload(run.KVM_RUN_EMULATION_FAILURE);
  if (!(failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) return exit;
  return { ...exit, instructionBytes: failure.insn_bytes.subarray(0, failure.insn_size) };
}

function decodeHyperv(page: ExitPage): HypervExit["detail"] {
  const { type, u } = page.payload(run.KVM_RUN_HYPERV);
  switch (type) {
    case KVM_EXIT_HYPERV.SYNIC: {
      const { msr, control, evt_page: eventPage, msg_page: messagePage } = u.synic;
      return { kind: "synic", msr, control, eventPage, messagePage };
    }
    case KVM_EXIT_HYPERV.HCALL:
      return { kind: "hypercall", input: u.hcall.input, params: u.hcall.params };
    case KVM_EXIT_HYPERV.SYNDBG: {
      const { msr, control, status } = u.syndbg;
      const { send_page: sendPage, recv_page: receivePage, pending_page: pendingPage } = u.syndbg;
      return { kind: "debugger", msr, control, status, sendPage, receivePage, pendingPage };
    }
    default:
      return { kind: "unrecognized", type, raw: page.rawPayload(run.KVM_RUN_HYPERV.size) };
  }
}
