/**
 * A `kvm_run` for every exit reason, made by hand: most reasons cannot be
 * produced on any one host. Each comes with its decoded form, text and JSON.
 *
 * @module
 */

import { KVM_EXIT, type KvmExitName } from "../../ffi/kvm_consts.ts";
import * as run from "../../ffi/kvm_run.ts";
import { encode, type Layout, type PartialStruct } from "../../ffi/layout.ts";
import type { Json } from "../../src/shape.ts";
import type { VmExit } from "../../src/exits/exit.ts";

/** Where port data is in the samples: behind `kvm_run`, as KVM has it. */
export const PORT_DATA = 4096;

/** One exit, in all its forms. */
export interface Sample {
  readonly name: string;
  readonly area: Uint8Array<ArrayBuffer>;
  /** Decoded. */
  readonly exit: VmExit;
  /** `detailsText`. */
  readonly text: string;
  /** `detailsJson`. */
  readonly json: Record<string, Json> | undefined;
}

/** A `kvm_run` with this reason and payload; what else is in the payload is 0xee. */
export function kvmRun<L extends Layout>(
  reason: number,
  shape?: L,
  payload: PartialStruct<L> = {},
): Uint8Array<ArrayBuffer> {
  const area = new Uint8Array(3 * 4096);
  area.fill(0xee, run.KVM_RUN_EXIT_OFFSET, run.KVM_RUN_EXIT_OFFSET + run.KVM_RUN_EXIT_SIZE);
  encode(run.KVM_RUN_STRUCT, { exit_reason: reason }, area);
  if (shape) encode(shape, payload, area, run.KVM_RUN_EXIT_OFFSET);
  return area;
}

function withPortData(area: Uint8Array<ArrayBuffer>, ...data: number[]): Uint8Array<ArrayBuffer> {
  area.set(data, PORT_DATA);
  return area;
}

const RAW = new Uint8Array(run.KVM_RUN_EXIT_SIZE).fill(0xee);
const RAW_HEX = "ee".repeat(run.KVM_RUN_EXIT_SIZE);

/** A reason that carries nothing. */
function plain(reason: Extract<VmExit, { readonly reason: KvmExitName }>["reason"]): Sample {
  const code = KVM_EXIT[reason];
  const exit = { reason, code } as VmExit;
  return { name: reason, area: kvmRun(code), exit, text: "", json: undefined };
}

/** A reason whose payload is shown as it is. */
function raw(reason: KvmExitName): Sample {
  const code = KVM_EXIT[reason];
  const exit = { reason, code, raw: RAW } as VmExit;
  return {
    name: reason,
    area: kvmRun(code),
    exit,
    text: ` raw=${RAW_HEX}`,
    json: { raw: RAW_HEX },
  };
}

const MINUS_ONE = 0xffff_ffff_ffff_ffffn;

/** The samples: one or more for each of `KVM_EXIT`. */
export const SAMPLES: readonly Sample[] = [
  {
    name: "UNKNOWN",
    area: kvmRun(0, run.KVM_RUN_HW, { hardware_exit_reason: 48n }),
    exit: { reason: "UNKNOWN", code: 0, hardwareReason: 48n },
    text: " hardware_reason=0x30 (VMX EPT_VIOLATION or SVM WRITE_DR0)",
    json: { hardware_reason: "0x30", name: "VMX EPT_VIOLATION or SVM WRITE_DR0" },
  },
  {
    name: "EXCEPTION",
    area: kvmRun(1, run.KVM_RUN_EX, { exception: 14, error_code: 2 }),
    exit: { reason: "EXCEPTION", code: 1, vector: 14, errorCode: 2 },
    text: " vector=14 (#PF page fault) error_code=0x2",
    json: { vector: 14, name: "#PF page fault", error_code: 2 },
  },
  {
    name: "IO, a character written",
    area: withPortData(
      kvmRun(2, run.KVM_RUN_IO, {
        direction: 1,
        size: 1,
        port: 0x3f8,
        count: 1,
        data_offset: BigInt(PORT_DATA),
      }),
      0x48,
    ),
    exit: {
      reason: "IO",
      code: 2,
      direction: "out",
      port: 0x3f8,
      size: 1,
      count: 1,
      data: new Uint8Array([0x48]),
    },
    text: " out port=0x3f8 (COM1) size=1 count=1 data=0x48 'H'",
    json: { direction: "out", port: 0x3f8, size: 1, count: 1, data: "48" },
  },
  {
    name: "IO, a string of two words read",
    area: withPortData(
      kvmRun(2, run.KVM_RUN_IO, {
        direction: 0,
        size: 2,
        port: 0x1234,
        count: 2,
        data_offset: BigInt(PORT_DATA),
      }),
      ...[0x22, 0x11, 0x44, 0x33],
    ),
    exit: {
      reason: "IO",
      code: 2,
      direction: "in",
      port: 0x1234,
      size: 2,
      count: 2,
      data: new Uint8Array([0x22, 0x11, 0x44, 0x33]),
    },
    text: " in port=0x1234 size=2 count=2 data=[0x1122 0x3344]",
    json: { direction: "in", port: 0x1234, size: 2, count: 2, data: "22114433" },
  },
  {
    name: "HYPERCALL",
    area: kvmRun(3, run.KVM_RUN_HYPERCALL, {
      nr: 12n,
      args: [0x1000n, 1n, 0x10n, 0n, 0n, MINUS_ONE],
      flags: 1n,
    }),
    exit: {
      reason: "HYPERCALL",
      code: 3,
      nr: 12n,
      args: [0x1000n, 1n, 0x10n, 0n, 0n, MINUS_ONE],
      flags: 1n,
    },
    text: " nr=0xc (KVM_HC_MAP_GPA_RANGE) " +
      "args=[0x1000 0x1 0x10 0x0 0x0 0xffffffffffffffff] flags=0x1",
    json: {
      nr: "0xc",
      name: "KVM_HC_MAP_GPA_RANGE",
      args: ["0x1000", "0x1", "0x10", "0x0", "0x0", "0xffffffffffffffff"],
      flags: "0x1",
    },
  },
  {
    name: "DEBUG",
    area: kvmRun(4, run.KVM_RUN_DEBUG, {
      arch: { exception: 1, pc: 0x7c00n, dr6: 0xffff_4ff0n, dr7: 0x402n },
    }),
    exit: { reason: "DEBUG", code: 4, vector: 1, pc: 0x7c00n, dr6: 0xffff_4ff0n, dr7: 0x402n },
    text: " vector=1 (#DB debug) pc=0x7c00 dr6=0xffff4ff0 (BS single step) " +
      "dr7=0x402 (0 execute global)",
    json: { vector: 1, name: "#DB debug", pc: "0x7c00", dr6: "0xffff4ff0", dr7: "0x402" },
  },
  plain("HLT"),
  {
    name: "MMIO",
    area: kvmRun(6, run.KVM_RUN_MMIO, {
      phys_addr: 0xffff_ffff_ffff_fff8n,
      data: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
      len: 4,
      is_write: 1,
    }),
    exit: {
      reason: "MMIO",
      code: 6,
      direction: "write",
      gpa: 0xffff_ffff_ffff_fff8n,
      size: 4,
      data: new Uint8Array([1, 2, 3, 4]),
    },
    text: " write gpa=0xfffffffffffffff8 size=4 data=0x04030201",
    json: { direction: "write", gpa: "0xfffffffffffffff8", size: 4, data: "01020304" },
  },
  plain("IRQ_WINDOW_OPEN"),
  plain("SHUTDOWN"),
  {
    name: "FAIL_ENTRY",
    area: kvmRun(9, run.KVM_RUN_FAIL_ENTRY, {
      hardware_entry_failure_reason: 0x8000_0021n,
      cpu: 3,
    }),
    exit: { reason: "FAIL_ENTRY", code: 9, hardwareReason: 0x8000_0021n, hostCpu: 3 },
    text: " hardware_reason=0x80000021 (VMX INVALID_STATE (entry failure)) host_cpu=3",
    json: {
      hardware_reason: "0x80000021",
      name: "VMX INVALID_STATE (entry failure)",
      host_cpu: 3,
    },
  },
  plain("INTR"),
  {
    name: "SET_TPR",
    area: encode(run.KVM_RUN_STRUCT, { cr8: 9n }, kvmRun(11)),
    exit: { reason: "SET_TPR", code: 11, cr8: 9n },
    text: " cr8=0x9",
    json: { cr8: "0x9" },
  },
  {
    name: "TPR_ACCESS",
    area: kvmRun(12, run.KVM_RUN_TPR_ACCESS, { rip: 0x1234n, is_write: 1 }),
    exit: { reason: "TPR_ACCESS", code: 12, direction: "write", accessRip: 0x1234n },
    text: " write access_rip=0x1234",
    json: { direction: "write", access_rip: "0x1234" },
  },
  raw("S390_SIEIC"),
  raw("S390_RESET"),
  raw("DCR"),
  plain("NMI"),
  {
    name: "INTERNAL_ERROR, an instruction that cannot be emulated",
    area: kvmRun(17, run.KVM_RUN_EMULATION_FAILURE, {
      suberror: 1,
      ndata: 4,
      flags: 1n,
      insn_size: 2,
      insn_bytes: new Uint8Array([0x0f, 0x77, ...Array(13).fill(0)]),
    }),
    exit: {
      reason: "INTERNAL_ERROR",
      code: 17,
      suberror: 1,
      data: [1n, 0x770f_02n, 0n, MINUS_ONE / 255n * 0xeen],
      instructionBytes: new Uint8Array([0x0f, 0x77]),
    },
    text: " suberror=1 (EMULATION) instruction=0f77 data=[0x1 0x770f02 0x0 0xeeeeeeeeeeeeeeee]",
    json: {
      suberror: 1,
      name: "EMULATION",
      instruction: "0f77",
      data: ["0x1", "0x770f02", "0x0", "0xeeeeeeeeeeeeeeee"],
    },
  },
  {
    name: "INTERNAL_ERROR, event delivery",
    area: kvmRun(17, run.KVM_RUN_INTERNAL, { suberror: 3, ndata: 2, data: [5n, 6n, 7n] }),
    exit: { reason: "INTERNAL_ERROR", code: 17, suberror: 3, data: [5n, 6n] },
    text: " suberror=3 (DELIVERY_EV) data=[0x5 0x6]",
    json: { suberror: 3, name: "DELIVERY_EV", data: ["0x5", "0x6"] },
  },
  {
    name: "INTERNAL_ERROR, a suberror without a name",
    area: kvmRun(17, run.KVM_RUN_INTERNAL, { suberror: 99, ndata: 0 }),
    exit: { reason: "INTERNAL_ERROR", code: 17, suberror: 99, data: [] },
    text: " suberror=99 data=[]",
    json: { suberror: 99, data: [] },
  },
  raw("OSI"),
  raw("PAPR_HCALL"),
  raw("S390_UCONTROL"),
  plain("WATCHDOG"),
  raw("S390_TSCH"),
  raw("EPR"),
  {
    name: "SYSTEM_EVENT",
    area: kvmRun(24, run.KVM_RUN_SYSTEM_EVENT, { type: 3, ndata: 1, data: [0x77n, 0x88n] }),
    exit: { reason: "SYSTEM_EVENT", code: 24, type: 3, data: [0x77n] },
    text: " type=3 (CRASH) data=[0x77]",
    json: { type: 3, name: "CRASH", data: ["0x77"] },
  },
  raw("S390_STSI"),
  {
    name: "IOAPIC_EOI",
    area: kvmRun(26, run.KVM_RUN_EOI, { vector: 0x30 }),
    exit: { reason: "IOAPIC_EOI", code: 26, vector: 0x30 },
    text: " vector=0x30",
    json: { vector: 0x30 },
  },
  {
    name: "HYPERV, synthetic interrupt controller",
    area: kvmRun(27, run.KVM_RUN_HYPERV, {
      type: 1,
      u: { synic: { msr: 0x4000_0080, control: 1n, evt_page: 0x2000n, msg_page: 0x3000n } },
    }),
    exit: {
      reason: "HYPERV",
      code: 27,
      detail: {
        kind: "synic",
        msr: 0x4000_0080,
        control: 1n,
        eventPage: 0x2000n,
        messagePage: 0x3000n,
      },
    },
    text: " synic msr=0x40000080 (HV_X64_MSR_SCONTROL) control=0x1 event_page=0x2000 " +
      "message_page=0x3000",
    json: {
      kind: "synic",
      msr: 0x4000_0080,
      control: "0x1",
      event_page: "0x2000",
      message_page: "0x3000",
    },
  },
  {
    name: "HYPERV, hypercall",
    area: kvmRun(27, run.KVM_RUN_HYPERV, {
      type: 2,
      u: { hcall: { input: 0x5cn, params: [1n, 2n] } },
    }),
    exit: {
      reason: "HYPERV",
      code: 27,
      detail: { kind: "hypercall", input: 0x5cn, params: [1n, 2n] },
    },
    text: " hypercall input=0x5c params=[0x1 0x2]",
    json: { kind: "hypercall", input: "0x5c", params: ["0x1", "0x2"] },
  },
  {
    name: "HYPERV, synthetic debugger",
    area: kvmRun(27, run.KVM_RUN_HYPERV, {
      type: 3,
      u: {
        syndbg: {
          msr: 0x4000_00f1,
          control: 1n,
          status: 2n,
          send_page: 3n,
          recv_page: 4n,
          pending_page: 5n,
        },
      },
    }),
    exit: {
      reason: "HYPERV",
      code: 27,
      detail: {
        kind: "debugger",
        msr: 0x4000_00f1,
        control: 1n,
        status: 2n,
        sendPage: 3n,
        receivePage: 4n,
        pendingPage: 5n,
      },
    },
    text: " debugger msr=0x400000f1 control=0x1 status=0x2 " +
      "send_page=0x3 receive_page=0x4 pending_page=0x5",
    json: {
      kind: "debugger",
      msr: 0x4000_00f1,
      control: "0x1",
      status: "0x2",
      send_page: "0x3",
      receive_page: "0x4",
      pending_page: "0x5",
    },
  },
  {
    name: "HYPERV, a type without a name",
    area: kvmRun(27, run.KVM_RUN_HYPERV, { type: 9 }),
    exit: {
      reason: "HYPERV",
      code: 27,
      detail: {
        kind: "unrecognized",
        type: 9,
        raw: new Uint8Array([9, 0, 0, 0, ...Array(52).fill(0xee)]),
      },
    },
    text: ` unrecognized type=9 raw=09000000${"ee".repeat(52)}`,
    json: { kind: "unrecognized", type: 9, raw: `09000000${"ee".repeat(52)}` },
  },
  raw("ARM_NISV"),
  {
    name: "X86_RDMSR",
    area: kvmRun(29, run.KVM_RUN_MSR, { error: 1, reason: 2, index: 0xc000_0080, data: 0n }),
    exit: { reason: "X86_RDMSR", code: 29, index: 0xc000_0080, data: 0n, refused: true, why: 2 },
    text: " index=0xc0000080 (IA32_EFER) why=0x2 (UNKNOWN) error=1 (#GP)",
    json: { index: 0xc000_0080, name: "IA32_EFER", why: 2, error: 1 },
  },
  {
    name: "X86_RDMSR, answered",
    area: kvmRun(29, run.KVM_RUN_MSR, { error: 0, reason: 2, index: 0xdead_beef, data: 7n }),
    exit: { reason: "X86_RDMSR", code: 29, index: 0xdead_beef, data: 7n, refused: false, why: 2 },
    text: " index=0xdeadbeef data=0x7 why=0x2 (UNKNOWN)",
    json: { index: 0xdead_beef, data: "0x7", why: 2, error: 0 },
  },
  {
    name: "X86_WRMSR",
    area: kvmRun(30, run.KVM_RUN_MSR, { error: 0, reason: 4, index: 0xdead_beef, data: 7n }),
    exit: { reason: "X86_WRMSR", code: 30, index: 0xdead_beef, data: 7n, refused: false, why: 4 },
    text: " index=0xdeadbeef data=0x7 why=0x4 (FILTER)",
    json: { index: 0xdead_beef, data: "0x7", why: 4, error: 0 },
  },
  plain("DIRTY_RING_FULL"),
  plain("AP_RESET_HOLD"),
  plain("X86_BUS_LOCK"),
  {
    name: "XEN",
    area: kvmRun(34, run.KVM_RUN_XEN, {
      type: 1,
      u: { hcall: { longmode: 1, cpl: 3, input: 17n, params: [1n, 2n, 3n, 4n, 5n, 6n] } },
    }),
    exit: {
      reason: "XEN",
      code: 34,
      type: 1,
      longMode: true,
      cpl: 3,
      input: 17n,
      params: [1n, 2n, 3n, 4n, 5n, 6n],
    },
    text: " type=1 long_mode=true cpl=3 input=0x11 params=[0x1 0x2 0x3 0x4 0x5 0x6]",
    json: {
      type: 1,
      long_mode: true,
      cpl: 3,
      input: "0x11",
      params: ["0x1", "0x2", "0x3", "0x4", "0x5", "0x6"],
    },
  },
  raw("RISCV_SBI"),
  raw("RISCV_CSR"),
  {
    name: "NOTIFY",
    area: kvmRun(37, run.KVM_RUN_NOTIFY, { flags: 1 }),
    exit: { reason: "NOTIFY", code: 37, flags: 1 },
    text: " flags=0x1 (context invalid)",
    json: { flags: 1 },
  },
  raw("LOONGARCH_IOCSR"),
  {
    name: "MEMORY_FAULT, private",
    area: kvmRun(39, run.KVM_RUN_MEMORY_FAULT, { flags: 8n, gpa: 0x20_9000n, size: 0x1000n }),
    exit: {
      reason: "MEMORY_FAULT",
      code: 39,
      flags: 8n,
      gpa: 0x20_9000n,
      size: 0x1000n,
      private: true,
    },
    text: " gpa=0x209000 size=0x1000 private",
    json: { gpa: "0x209000", size: "0x1000", visibility: "private", flags: "0x8" },
  },
  {
    name: "MEMORY_FAULT, shared, with an unknown flag",
    area: kvmRun(39, run.KVM_RUN_MEMORY_FAULT, { flags: 0x10n, gpa: 0n, size: 0n }),
    exit: { reason: "MEMORY_FAULT", code: 39, flags: 0x10n, gpa: 0n, size: 0n, private: false },
    text: " gpa=0x0 size=0x0 shared flags=0x10",
    json: { gpa: "0x0", size: "0x0", visibility: "shared", flags: "0x10" },
  },
  {
    name: "TDX",
    area: kvmRun(40, run.KVM_RUN_TDX, {
      flags: 1n,
      nr: 0x1_0002n,
      unknown: { ret: 9n, data: [1n, 2n, 3n, 4n, 5n] },
    }),
    exit: {
      reason: "TDX",
      code: 40,
      flags: 1n,
      nr: 0x1_0002n,
      data: [9n, 1n, 2n, 3n, 4n, 5n],
    },
    text: " nr=0x10002 flags=0x1 data=[0x9 0x1 0x2 0x3 0x4 0x5]",
    json: { nr: "0x10002", flags: "0x1", data: ["0x9", "0x1", "0x2", "0x3", "0x4", "0x5"] },
  },
  raw("ARM_SEA"),
  raw("ARM_LDST64B"),
  {
    name: "SNP_REQ_CERTS",
    area: kvmRun(43, run.KVM_RUN_SNP_REQ_CERTS, { gpa: 0x5000n, npages: 4n }),
    exit: { reason: "SNP_REQ_CERTS", code: 43, gpa: 0x5000n, pages: 4n },
    text: " gpa=0x5000 pages=0x4",
    json: { gpa: "0x5000", pages: "0x4" },
  },
  {
    name: "a number without a name",
    area: kvmRun(0xffff_fff0),
    exit: { reason: "UNRECOGNIZED", code: 0xffff_fff0, raw: RAW },
    text: ` raw=${RAW_HEX}`,
    json: { raw: RAW_HEX },
  },
];
