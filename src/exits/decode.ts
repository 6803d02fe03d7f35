/**
 * `struct kvm_run` -> {@linkcode VmExit}.
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
import { decode, type Layout, type StructOf } from "../../ffi/layout.ts";
import type { ExitReasonName, HypervExit, InternalErrorExit, VmExit } from "./exit.ts";

const { fields } = run.KVM_RUN_STRUCT;
const PAYLOAD = run.KVM_RUN_EXIT_OFFSET;
const RIP = run.KVM_RUN_REGS_OFFSET + run.KVM_RUN_STRUCT.fields.s[1].fields.regs[1].fields.regs[1]
  .fields.rip[0];

const REASON_NAMES = new Map<number, ExitReasonName>(
  Object.entries(KVM_EXIT).map(([name, code]) => [code, name as ExitReasonName]),
);

/** The name of an exit reason's number, or `undefined` where it has none (yet). */
export function exitReasonName(code: number): ExitReasonName | undefined {
  return REASON_NAMES.get(code);
}

/**
 * Decodes the exits that one vCPU leaves in its `kvm_run`. Byte arrays of an
 * exit are views of `kvm_run`, good until the guest runs again.
 *
 * Only call {@linkcode decode} where the return of `KVM_RUN` says that the
 * payload is valid.
 *
 * @example
 * ```ts
 * import { ExitDecoder } from "./decode.ts";
 * const page = new Uint8Array(12288);
 * page[8] = 5; // exit_reason
 * console.log(new ExitDecoder(page).decode()); // { reason: "HLT", code: 5 }
 * ```
 */
export class ExitDecoder {
  readonly #area: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** @param area the mapped `kvm_run`, with the page of port data behind it */
  constructor(area: Uint8Array<ArrayBuffer>) {
    this.#area = area;
    this.#view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  }

  /** The exit that `kvm_run` holds now. */
  decode(): VmExit {
    const exit = this.#payload(this.#view.getUint32(fields.exit_reason[0], true));
    const shared = this.#view.getUint32(fields.kvm_valid_regs[0], true);
    if (shared & run.KVM_SYNC_X86_REGS) {
      (exit as { rip?: bigint }).rip = this.#view.getBigUint64(RIP, true);
    }
    return exit;
  }

  #struct<L extends Layout>(shape: L): StructOf<L> {
    return decode(shape, this.#area, PAYLOAD);
  }

  #raw(sizeBytes = run.KVM_RUN_EXIT_SIZE): Uint8Array {
    return this.#area.slice(PAYLOAD, PAYLOAD + sizeBytes);
  }

  #payload(code: number): VmExit {
    const reason = REASON_NAMES.get(code);
    switch (reason) {
      case undefined:
        return { reason: "UNRECOGNIZED", code, raw: this.#raw() };
      case "IO": {
        const view = this.#view;
        const size = view.getUint8(PAYLOAD + run.KVM_RUN_IO.fields.size[0]);
        const count = view.getUint32(PAYLOAD + run.KVM_RUN_IO.fields.count[0], true);
        const offset = view.getUint32(PAYLOAD + run.KVM_RUN_IO.fields.data_offset[0], true);
        return {
          reason,
          code,
          direction: view.getUint8(PAYLOAD + run.KVM_RUN_IO.fields.direction[0]) ? "out" : "in",
          port: view.getUint16(PAYLOAD + run.KVM_RUN_IO.fields.port[0], true),
          size,
          count,
          data: this.#area.subarray(offset, offset + size * count),
        };
      }
      case "MMIO": {
        const view = this.#view;
        const data = PAYLOAD + run.KVM_RUN_MMIO.fields.data[0];
        const size = Math.min(8, view.getUint32(PAYLOAD + run.KVM_RUN_MMIO.fields.len[0], true));
        return {
          reason,
          code,
          direction: view.getUint8(PAYLOAD + run.KVM_RUN_MMIO.fields.is_write[0])
            ? "write"
            : "read",
          gpa: view.getBigUint64(PAYLOAD + run.KVM_RUN_MMIO.fields.phys_addr[0], true),
          size,
          data: this.#area.subarray(data, data + size),
        };
      }
      case "MEMORY_FAULT": {
        const { flags, gpa, size } = this.#struct(run.KVM_RUN_MEMORY_FAULT);
        const isPrivate = (flags & KVM_MEMORY_EXIT_FLAG_PRIVATE) !== 0n;
        return { reason, code, flags, gpa, size, private: isPrivate };
      }
      case "INTERNAL_ERROR":
        return this.#internalError(code);
      case "FAIL_ENTRY": {
        const { hardware_entry_failure_reason: hardwareReason, cpu: hostCpu } = this.#struct(
          run.KVM_RUN_FAIL_ENTRY,
        );
        return { reason, code, hardwareReason, hostCpu };
      }
      case "UNKNOWN": {
        const { hardware_exit_reason: hardwareReason } = this.#struct(run.KVM_RUN_HW);
        return { reason, code, hardwareReason };
      }
      case "EXCEPTION": {
        const { exception: vector, error_code: errorCode } = this.#struct(run.KVM_RUN_EX);
        return { reason, code, vector, errorCode };
      }
      case "DEBUG": {
        const { exception: vector, pc, dr6, dr7 } = this.#struct(run.KVM_RUN_DEBUG).arch;
        return { reason, code, vector, pc, dr6, dr7 };
      }
      case "HYPERCALL": {
        const { nr, args, flags } = this.#struct(run.KVM_RUN_HYPERCALL);
        return { reason, code, nr, args, flags };
      }
      case "TPR_ACCESS": {
        const { rip: accessRip, is_write } = this.#struct(run.KVM_RUN_TPR_ACCESS);
        return { reason, code, direction: is_write ? "write" : "read", accessRip };
      }
      case "SYSTEM_EVENT": {
        const { type, ndata, data } = this.#struct(run.KVM_RUN_SYSTEM_EVENT);
        return { reason, code, type, data: data.slice(0, ndata) };
      }
      case "IOAPIC_EOI":
        return { reason, code, vector: this.#struct(run.KVM_RUN_EOI).vector };
      case "HYPERV":
        return { reason, code, detail: this.#hyperv() };
      case "XEN": {
        const { type, u: { hcall } } = this.#struct(run.KVM_RUN_XEN);
        const { longmode, cpl, input, params } = hcall;
        return { reason, code, type, longMode: longmode !== 0, cpl, input, params };
      }
      case "X86_RDMSR":
      case "X86_WRMSR": {
        const { error, reason: why, index, data } = this.#struct(run.KVM_RUN_MSR);
        return { reason, code, index, data, refused: error !== 0, why };
      }
      case "NOTIFY":
        return { reason, code, flags: this.#struct(run.KVM_RUN_NOTIFY).flags };
      case "TDX": {
        const { flags, nr, unknown } = this.#struct(run.KVM_RUN_TDX);
        return { reason, code, flags, nr, data: [unknown.ret, ...unknown.data] };
      }
      case "SNP_REQ_CERTS": {
        const { gpa, npages: pages } = this.#struct(run.KVM_RUN_SNP_REQ_CERTS);
        return { reason, code, gpa, pages };
      }
      case "SET_TPR":
        return { reason, code, cr8: this.#view.getBigUint64(fields.cr8[0], true) };
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
        return { reason, code, raw: this.#raw() };
    }
  }

  #internalError(code: number): InternalErrorExit {
    const { suberror, ndata, data } = this.#struct(run.KVM_RUN_INTERNAL);
    const valid = data.slice(0, ndata);
    const exit = { reason: "INTERNAL_ERROR", code, suberror, data: valid } as const;
    if (suberror !== KVM_INTERNAL_ERROR.EMULATION || ndata < 4) return exit;
    const failure = this.#struct(run.KVM_RUN_EMULATION_FAILURE);
    if (!(failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) return exit;
    return { ...exit, instruction: failure.insn_bytes.subarray(0, failure.insn_size) };
  }

  #hyperv(): HypervExit["detail"] {
    const { type, u } = this.#struct(run.KVM_RUN_HYPERV);
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
        return { kind: "unrecognized", type, raw: this.#raw(run.KVM_RUN_HYPERV.size) };
    }
  }
}
