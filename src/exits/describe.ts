/**
 * Describes exits: a table of the fields of every payload, each with its text, its JSON and its
 * JSON Schema. The tracer, the outcome and the schema of the trace all use it.
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
import {
  BOOLEAN,
  BYTES,
  described,
  exactly,
  HEX,
  integer,
  type Json,
  listOf,
  oneOf,
  optional,
  type Shape,
  TEXT,
} from "../shape.ts";
import { describeDr6, describeDr7 } from "./debug_registers.ts";
import type { ForeignExit, HypervDetail, PlainExit, UnrecognizedExit, VmExit } from "./exit.ts";
import { hypercallName } from "./hypercall_names.ts";
import { msrName } from "./msr_names.ts";
import { portData } from "./port_data.ts";
import { portName } from "./port_names.ts";
import { vectorName } from "./vector_names.ts";
import { hardwareReasonName } from "./vmx_reasons.ts";

/** A field of a payload. */
export interface PayloadField<E> {
  readonly shape: Shape<unknown>;
  /** The value in the record; `undefined` for none. */
  readonly json: (exit: E) => Json | undefined;
  /** The text in the line; "" for none. */
  readonly text: (exit: E, key: string) => string;
}

/** The fields of a payload, in the order in which they are shown. */
export type PayloadFields<E> = Readonly<Record<string, PayloadField<E>>>;

/** How the exits of a reason are described. */
export interface Description<E> {
  /** A few words where the name is not enough. */
  readonly about?: string;
  readonly fields: PayloadFields<E>;
}

type Undescribed = PlainExit | ForeignExit | UnrecognizedExit;
type ExitOf<R> = Extract<VmExit, { readonly reason: R }>;

/** Reasons whose payload is described. */
export type DescribedReason = Exclude<VmExit["reason"], Undescribed["reason"] | "HYPERV">;

const UINT = integer(0);
const DIRECTION = oneOf("read", "write");

function keyOf(table: Readonly<Record<string, number>>, value: number): string | undefined {
  return Object.keys(table).find((key) => table[key] === value);
}

/** A value and its name, where it has one: `0x3f8 (COM1)`. */
function withName(value: string, name: string | undefined): string {
  return name === undefined ? value : `${value} (${name})`;
}

/** A field that the line shows as `key=value`; `show` formats the value where JSON's form will not do. */
function field<E, T extends Json>(
  shape: Shape<T>,
  json: (exit: E) => T,
  show: (exit: E) => string = (exit) => String(json(exit)),
): PayloadField<E> {
  return { shape, json, text: (exit, key) => `${key}=${show(exit)}` };
}

/** A word that the line shows without its key. */
function word<E, T extends string>(shape: Shape<T>, json: (exit: E) => T): PayloadField<E> {
  return { shape, json, text: json };
}

/** A number of 64 bits. */
function wide<E>(
  value: (exit: E) => bigint,
  name: (exit: E) => string | undefined = () => undefined,
): PayloadField<E> {
  return field(HEX, (exit) => hex(value(exit)), (exit) => withName(hex(value(exit)), name(exit)));
}

/** Numbers of 64 bits. */
function wides<E>(values: (exit: E) => readonly bigint[]): PayloadField<E> {
  return {
    shape: listOf(HEX),
    json: (exit) => values(exit).map(hex),
    text: (exit, key) => `${key}=[${values(exit).map(hex).join(" ")}]`,
  };
}

/** A field of JSON alone, which may be absent. */
function jsonOnly<E>(shape: Shape<unknown>, json: (exit: E) => Json | undefined): PayloadField<E> {
  return { shape: optional(shape), json, text: () => "" };
}

/** The name of the preceding value. */
function name<E>(nameOf: (exit: E) => string | undefined): PayloadField<E> {
  return jsonOnly(described("The value's name, where it has one.", TEXT), nameOf);
}

/** The device that served the exit: known to the tracer, not to the exit. */
function servedBy(description: string): PayloadField<unknown> {
  return jsonOnly(described(description, TEXT), () => undefined);
}

const DEVICE = servedBy("The device that served the access; absent where none did.");

function msrFields(
  data: PayloadField<ExitOf<"X86_RDMSR" | "X86_WRMSR">>,
): PayloadFields<ExitOf<"X86_RDMSR" | "X86_WRMSR">> {
  const known = ({ why }: { why: number }) => keyOf(KVM_MSR_EXIT_REASON, why);
  return {
    index: field(UINT, (e) => e.index, (e) => withName(hex(e.index), msrName(e.index))),
    name: name((e) => msrName(e.index)),
    data,
    why: field(
      described("KVM_MSR_EXIT_REASON_*.", UINT),
      (e) => e.why,
      (e) => withName(hex(e.why), known(e)),
    ),
    error: {
      shape: described("1 where the access was refused: the guest gets a #GP.", oneOf(0, 1)),
      json: (e) => e.refused ? 1 : 0,
      text: (e) => e.refused ? "error=1 (#GP)" : "",
    },
    device: servedBy("The device that answered."),
  };
}

/** The table. */
export const EXITS: { readonly [R in DescribedReason]: Description<ExitOf<R>> } = {
  UNKNOWN: {
    fields: {
      hardware_reason: wide(
        (e) => e.hardwareReason,
        (e) => hardwareReasonName(e.hardwareReason, "exit"),
      ),
      name: name((e) => hardwareReasonName(e.hardwareReason, "exit")),
    },
  },
  EXCEPTION: {
    fields: {
      vector: field(UINT, (e) => e.vector, (e) => withName(`${e.vector}`, vectorName(e.vector))),
      name: name((e) => vectorName(e.vector)),
      error_code: field(UINT, (e) => e.errorCode, (e) => hex(e.errorCode)),
    },
  },
  IO: {
    about: "port I/O, one item or a string of them",
    fields: {
      direction: word(oneOf("in", "out"), (e) => e.direction),
      port: field(
        integer(0, 0xffff),
        (e) => e.port,
        (e) => withName(hex(e.port), portName(e.port)),
      ),
      size: field(described("Bytes an item.", oneOf(1, 2, 4)), (e) => e.size as 1 | 2 | 4),
      count: field(described("How many items.", integer(1)), (e) => e.count),
      data: field(
        described("The items' bytes: what the guest wrote, or what it was answered.", BYTES),
        (e) => hexBytes(e.data),
        (e) => portData(e.data, e.size),
      ),
      device: DEVICE,
    },
  },
  HYPERCALL: {
    fields: {
      nr: wide((e) => e.nr, (e) => hypercallName(e.nr)),
      name: name((e) => hypercallName(e.nr)),
      args: wides((e) => e.args),
      flags: wide((e) => e.flags),
    },
  },
  DEBUG: {
    fields: {
      vector: field(
        described("1 for #DB, 3 for #BP.", UINT),
        (e) => e.vector,
        (e) => withName(`${e.vector}`, vectorName(e.vector)),
      ),
      name: name((e) => vectorName(e.vector)),
      pc: wide((e) => e.pc),
      dr6: wide((e) => e.dr6, (e) => describeDr6(e.dr6)),
      dr7: wide((e) => e.dr7, (e) => describeDr7(e.dr7)),
      instruction: {
        shape: optional(described("The next instruction, where its bytes can be read.", TEXT)),
        json: (e) => e.instructionText,
        text: (e) => e.instructionText ? `instruction="${e.instructionText}"` : "",
      },
    },
  },
  MMIO: {
    about: "an access to a GPA that no memory slot covers",
    fields: {
      direction: word(DIRECTION, (e) => e.direction),
      gpa: wide((e) => e.gpa),
      size: field(integer(0, 8), (e) => e.size),
      data: field(BYTES, (e) => hexBytes(e.data), (e) => hexValue(e.data)),
      device: DEVICE,
    },
  },
  FAIL_ENTRY: {
    fields: {
      hardware_reason: wide((e) => e.hardwareReason, (e) => hardwareReasonName(e.hardwareReason)),
      name: name((e) => hardwareReasonName(e.hardwareReason)),
      host_cpu: field(UINT, (e) => e.hostCpu),
    },
  },
  SET_TPR: { fields: { cr8: wide((e) => e.cr8) } },
  TPR_ACCESS: {
    fields: {
      direction: word(DIRECTION, (e) => e.direction),
      access_rip: wide((e) => e.accessRip),
    },
  },
  INTERNAL_ERROR: {
    fields: {
      suberror: field(
        UINT,
        (e) => e.suberror,
        (e) => withName(`${e.suberror}`, keyOf(KVM_INTERNAL_ERROR, e.suberror)),
      ),
      name: name((e) => keyOf(KVM_INTERNAL_ERROR, e.suberror)),
      instruction: {
        shape: optional(described("The bytes at RIP, where KVM gives them.", BYTES)),
        json: (e) => e.instructionBytes && hexBytes(e.instructionBytes),
        text: (e) => e.instructionBytes ? `instruction=${hexBytes(e.instructionBytes)}` : "",
      },
      data: wides((e) => e.data),
    },
  },
  SYSTEM_EVENT: {
    fields: {
      type: field(
        UINT,
        (e) => e.type,
        (e) => withName(`${e.type}`, keyOf(KVM_SYSTEM_EVENT, e.type)),
      ),
      name: name((e) => keyOf(KVM_SYSTEM_EVENT, e.type)),
      data: wides((e) => e.data),
    },
  },
  IOAPIC_EOI: {
    fields: { vector: field(integer(0, 255), (e) => e.vector, (e) => hex(e.vector)) },
  },
  X86_RDMSR: {
    fields: msrFields({
      shape: optional(described("The answer, if there is one.", HEX)),
      json: (e) => e.refused ? undefined : hex(e.data),
      text: (e) => e.refused ? "" : `data=${hex(e.data)}`,
    }),
  },
  X86_WRMSR: { fields: msrFields(wide((e) => e.data)) },
  XEN: {
    fields: {
      type: field(UINT, (e) => e.type),
      long_mode: field(BOOLEAN, (e) => e.longMode),
      cpl: field(UINT, (e) => e.cpl),
      input: wide((e) => e.input),
      params: wides((e) => e.params),
    },
  },
  NOTIFY: {
    fields: {
      flags: field(
        described("Bit 0: the vCPU's context is no longer valid.", UINT),
        (e) => e.flags,
        (e) =>
          withName(
            hex(e.flags),
            e.flags & KVM_NOTIFY_CONTEXT_INVALID ? "context invalid" : undefined,
          ),
      ),
    },
  },
  MEMORY_FAULT: {
    about: "memory that a slot covers but that KVM cannot map",
    fields: {
      gpa: wide((e) => e.gpa),
      size: wide((e) => e.size),
      visibility: word(oneOf("private", "shared"), (e) => e.private ? "private" : "shared"),
      flags: {
        shape: HEX,
        json: (e) => hex(e.flags),
        // Bit 3 is the visibility.
        text: (e) => e.flags & ~8n ? `flags=${hex(e.flags)}` : "",
      },
    },
  },
  TDX: {
    fields: { nr: wide((e) => e.nr), flags: wide((e) => e.flags), data: wides((e) => e.data) },
  },
  SNP_REQ_CERTS: { fields: { gpa: wide((e) => e.gpa), pages: wide((e) => e.pages) } },
};

type HypervOf<K> = Extract<HypervDetail, { readonly kind: K }>;

/** The fields of `HYPERV`, which has several payloads, by its `kind`. */
export const HYPERV: { readonly [K in HypervDetail["kind"]]: PayloadFields<HypervOf<K>> } = {
  synic: {
    kind: word(exactly("synic"), (e) => e.kind),
    msr: field(UINT, (e) => e.msr, (e) => withName(hex(e.msr), msrName(e.msr))),
    control: wide((e) => e.control),
    event_page: wide((e) => e.eventPage),
    message_page: wide((e) => e.messagePage),
  },
  hypercall: {
    kind: word(exactly("hypercall"), (e) => e.kind),
    input: wide((e) => e.input),
    params: wides((e) => e.params),
  },
  debugger: {
    kind: word(exactly("debugger"), (e) => e.kind),
    msr: field(UINT, (e) => e.msr, (e) => withName(hex(e.msr), msrName(e.msr))),
    control: wide((e) => e.control),
    status: wide((e) => e.status),
    send_page: wide((e) => e.sendPage),
    receive_page: wide((e) => e.receivePage),
    pending_page: wide((e) => e.pendingPage),
  },
  unrecognized: {
    kind: word(exactly("unrecognized"), (e) => e.kind),
    type: field(UINT, (e) => e.type),
    raw: field(BYTES, (e) => hexBytes(e.raw)),
  },
};

/** The field of payloads that are not decoded: of other architectures, or of unnamed reasons. */
export const RAW: PayloadFields<ForeignExit | UnrecognizedExit> = {
  raw: field(BYTES, (e) => hexBytes(e.raw)),
};

/** One detail of an exit: its JSON key and value, and how the text line shows it. */
export type Detail = readonly [key: string, json: Json, text: string];

/**
 * The payload's details, in the order in which they are shown. A detail whose text is empty is for
 * JSON only.
 *
 * @example
 * ```ts
 * import { details } from "./describe.ts";
 * const exit = { reason: "IOAPIC_EOI", code: 26, vector: 48 } as const;
 * console.log(details(exit)); // [["vector", 48, "vector=0x30"]]
 * ```
 */
export function details(exit: VmExit): Detail[] {
  const { fields, payload } = payloadOf(exit);
  return Object.entries(fields).flatMap(([key, { json, text }]) => {
    const value = json(payload);
    return value === undefined ? [] : [[key, value, text(payload, key)] as const];
  });
}

/** The details as one line of text, a space before each. */
export function detailsText(exit: VmExit): string {
  const { fields, payload } = payloadOf(exit);
  let line = "";
  for (const key in fields) {
    const shown = fields[key]!.text(payload, key);
    if (shown !== "") line += " " + shown;
  }
  return line;
}

/** The details as one JSON object, or `undefined` where the reason says it all. */
export function detailsJson(exit: VmExit): Record<string, Json> | undefined {
  const { fields, payload } = payloadOf(exit);
  if (fields === NONE) return undefined;
  const details: Record<string, Json> = {};
  for (const key in fields) {
    const value = fields[key]!.json(payload);
    if (value !== undefined) details[key] = value;
  }
  return details;
}

const NONE: PayloadFields<unknown> = {};

/** The fields of an exit, and the object that they are read from. */
function payloadOf(exit: VmExit): { fields: PayloadFields<unknown>; payload: unknown } {
  if ("raw" in exit) return { fields: RAW as PayloadFields<unknown>, payload: exit };
  if (exit.reason === "HYPERV") {
    const { detail } = exit;
    return { fields: HYPERV[detail.kind] as PayloadFields<unknown>, payload: detail };
  }
  const { fields } = EXITS[exit.reason as DescribedReason] ?? { fields: NONE };
  return { fields: fields as PayloadFields<unknown>, payload: exit };
}
