/**
 * An exit in words: the same details once for people and once for programs.
 *
 * @module
 */

import {
  KVM_INTERNAL_ERROR,
  KVM_MSR_EXIT_REASON,
  KVM_NOTIFY_CONTEXT_INVALID,
  KVM_SYSTEM_EVENT,
} from "../../ffi/kvm_consts.ts";
import { hex, hexBytes, hexValue } from "../hex.ts";
import { describeDr6, describeDr7 } from "./debug_registers.ts";
import type { VmExit } from "./exit.ts";
import { hypercallName } from "./hypercall_names.ts";
import { msrName } from "./msr_names.ts";
import { portName } from "./port_names.ts";
import { vectorName } from "./vector_names.ts";
import { hardwareReasonName } from "./vmx_reasons.ts";

/** What JSON can hold. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** One detail of an exit: its JSON key and value, and how the text line shows it. */
export type Detail = readonly [key: string, json: Json, text: string];

function keyOf(table: Readonly<Record<string, number>>, value: number): string | undefined {
  return Object.keys(table).find((key) => table[key] === value);
}

/** A name behind a value where there is one: `0x3f8 (COM1)`. */
function named(value: string, name: string | undefined): string {
  return name === undefined ? value : `${value} (${name})`;
}

function value(key: string, n: bigint, name?: string): Detail {
  return [key, hex(n), `${key}=${named(hex(n), name)}`];
}

function name(key: string, text: string | undefined): Detail[] {
  return text === undefined ? [] : [[key, text, ""]];
}

function words(key: string, list: readonly bigint[]): Detail {
  return [key, list.map(hex), `${key}=[${list.map(hex).join(" ")}]`];
}

function bytes(key: string, data: Uint8Array): Detail {
  return [key, hexBytes(data), `${key}=${hexBytes(data)}`];
}

const PRINTABLE = /^[\x20-\x7e\n\r\t]+$/;

/** Port data: a number, a character, a quoted string, or a list of numbers. */
function portData(data: Uint8Array, size: number): Detail {
  const json = hexBytes(data);
  if (data.length <= size) {
    const text = hexValue(data);
    const code = data[0]!;
    const character = size === 1 && code >= 0x20 && code < 0x7f
      ? ` '${String.fromCharCode(code)}'`
      : "";
    return ["data", json, `data=${text}${character}`];
  }
  if (size === 1) {
    const text = String.fromCharCode(...data);
    if (PRINTABLE.test(text)) return ["data", json, `data=${JSON.stringify(text)}`];
  }
  const items: string[] = [];
  for (let i = 0; i < data.length; i += size) items.push(hexValue(data.subarray(i, i + size)));
  return ["data", json, `data=[${items.join(" ")}]`];
}

/**
 * The payload's details, in the order in which they are shown. A detail whose
 * text is empty is for JSON only.
 *
 * @example
 * ```ts
 * import { details } from "./describe.ts";
 * const exit = { reason: "IOAPIC_EOI", code: 26, vector: 48 } as const;
 * console.log(details(exit)); // [["vector", 48, "vector=0x30"]]
 * ```
 */
export function details(exit: VmExit): Detail[] {
  switch (exit.reason) {
    case "IO":
      return [
        ["direction", exit.direction, exit.direction],
        ["port", exit.port, `port=${named(hex(exit.port), portName(exit.port))}`],
        ["size", exit.size, `size=${exit.size}`],
        ["count", exit.count, `count=${exit.count}`],
        portData(exit.data, exit.size),
      ];
    case "MMIO":
      return [
        ["direction", exit.direction, exit.direction],
        value("gpa", exit.gpa),
        ["size", exit.size, `size=${exit.size}`],
        ["data", hexBytes(exit.data), `data=${hexValue(exit.data)}`],
      ];
    case "MEMORY_FAULT": {
      const visibility = exit.private ? "private" : "shared";
      return [
        value("gpa", exit.gpa),
        value("size", exit.size),
        ["visibility", visibility, visibility],
        ["flags", hex(exit.flags), exit.flags & ~8n ? `flags=${hex(exit.flags)}` : ""],
      ];
    }
    case "INTERNAL_ERROR": {
      const known = keyOf(KVM_INTERNAL_ERROR, exit.suberror);
      return [
        ["suberror", exit.suberror, `suberror=${named(`${exit.suberror}`, known)}`],
        ...name("name", known),
        ...(exit.instruction ? [bytes("instruction", exit.instruction)] : []),
        words("data", exit.data),
      ];
    }
    case "FAIL_ENTRY": {
      const known = hardwareReasonName(exit.hardwareReason);
      return [
        value("hardware_reason", exit.hardwareReason, known),
        ...name("name", known),
        ["host_cpu", exit.hostCpu, `host_cpu=${exit.hostCpu}`],
      ];
    }
    case "UNKNOWN": {
      const known = hardwareReasonName(exit.hardwareReason, "exit");
      return [value("hardware_reason", exit.hardwareReason, known), ...name("name", known)];
    }
    case "EXCEPTION": {
      const known = vectorName(exit.vector);
      return [
        ["vector", exit.vector, `vector=${named(`${exit.vector}`, known)}`],
        ...name("name", known),
        ["error_code", exit.errorCode, `error_code=${hex(exit.errorCode)}`],
      ];
    }
    case "DEBUG": {
      const known = vectorName(exit.vector);
      return [
        ["vector", exit.vector, `vector=${named(`${exit.vector}`, known)}`],
        ...name("name", known),
        value("pc", exit.pc),
        value("dr6", exit.dr6, describeDr6(exit.dr6)),
        value("dr7", exit.dr7, describeDr7(exit.dr7)),
      ];
    }
    case "HYPERCALL": {
      const known = hypercallName(exit.nr);
      return [
        value("nr", exit.nr, known),
        ...name("name", known),
        words("args", exit.args),
        value("flags", exit.flags),
      ];
    }
    case "TPR_ACCESS":
      return [["direction", exit.direction, exit.direction], value("access_rip", exit.accessRip)];
    case "SYSTEM_EVENT": {
      const known = keyOf(KVM_SYSTEM_EVENT, exit.type);
      return [
        ["type", exit.type, `type=${named(`${exit.type}`, known)}`],
        ...name("name", known),
        words("data", exit.data),
      ];
    }
    case "IOAPIC_EOI":
      return [["vector", exit.vector, `vector=${hex(exit.vector)}`]];
    case "HYPERV":
      return hypervDetails(exit.detail);
    case "XEN":
      return [
        ["type", exit.type, `type=${exit.type}`],
        ["long_mode", exit.longMode, `long_mode=${exit.longMode}`],
        ["cpl", exit.cpl, `cpl=${exit.cpl}`],
        value("input", exit.input),
        words("params", exit.params),
      ];
    case "X86_RDMSR":
    case "X86_WRMSR": {
      const known = msrName(exit.index);
      const why = keyOf(KVM_MSR_EXIT_REASON, exit.why);
      return [
        ["index", exit.index, `index=${named(hex(exit.index), known)}`],
        ...name("name", known),
        ...(exit.reason === "X86_WRMSR" || !exit.refused ? [value("data", exit.data)] : []),
        ["why", exit.why, `why=${named(hex(exit.why), why)}`],
        ["error", exit.refused ? 1 : 0, exit.refused ? "error=1 (#GP)" : ""],
      ];
    }
    case "NOTIFY": {
      const invalid = (exit.flags & KVM_NOTIFY_CONTEXT_INVALID) !== 0;
      const text = named(hex(exit.flags), invalid ? "context invalid" : undefined);
      return [["flags", exit.flags, `flags=${text}`]];
    }
    case "TDX":
      return [value("nr", exit.nr), value("flags", exit.flags), words("data", exit.data)];
    case "SNP_REQ_CERTS":
      return [value("gpa", exit.gpa), value("pages", exit.pages)];
    case "SET_TPR":
      return [value("cr8", exit.cr8)];
    case "HLT":
    case "IRQ_WINDOW_OPEN":
    case "SHUTDOWN":
    case "INTR":
    case "NMI":
    case "WATCHDOG":
    case "X86_BUS_LOCK":
    case "AP_RESET_HOLD":
    case "DIRTY_RING_FULL":
      return [];
    case "UNRECOGNIZED":
    case "S390_SIEIC":
    case "S390_RESET":
    case "DCR":
    case "OSI":
    case "PAPR_HCALL":
    case "S390_UCONTROL":
    case "S390_TSCH":
    case "EPR":
    case "S390_STSI":
    case "ARM_NISV":
    case "RISCV_SBI":
    case "RISCV_CSR":
    case "LOONGARCH_IOCSR":
    case "ARM_SEA":
    case "ARM_LDST64B":
      return [bytes("raw", exit.raw)];
    default:
      return exit satisfies never;
  }
}

function hypervDetails(detail: Extract<VmExit, { reason: "HYPERV" }>["detail"]): Detail[] {
  const kind: Detail = ["kind", detail.kind, detail.kind];
  switch (detail.kind) {
    case "synic":
      return [
        kind,
        ["msr", detail.msr, `msr=${named(hex(detail.msr), msrName(detail.msr))}`],
        value("control", detail.control),
        value("event_page", detail.eventPage),
        value("message_page", detail.messagePage),
      ];
    case "hypercall":
      return [kind, value("input", detail.input), words("params", detail.params)];
    case "debugger":
      return [
        kind,
        ["msr", detail.msr, `msr=${named(hex(detail.msr), msrName(detail.msr))}`],
        value("control", detail.control),
        value("status", detail.status),
        value("send_page", detail.sendPage),
        value("receive_page", detail.receivePage),
        value("pending_page", detail.pendingPage),
      ];
    case "unrecognized":
      return [kind, ["type", detail.type, `type=${detail.type}`], bytes("raw", detail.raw)];
    default:
      return detail satisfies never;
  }
}

/** The details as one line of text, a space before each. */
export function detailsText(exit: VmExit): string {
  let text = "";
  for (const [, , shown] of details(exit)) if (shown !== "") text += " " + shown;
  return text;
}

/** The details as one JSON object, or `undefined` where the reason says it all. */
export function detailsJson(exit: VmExit): Record<string, Json> | undefined {
  const list = details(exit);
  if (list.length === 0) return undefined;
  return Object.fromEntries(list.map(([key, json]) => [key, json]));
}
