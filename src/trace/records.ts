/**
 * The records of a JSON trace, declared once: what the tracer writes, what the report and the test
 * runner read, and what schema.ts makes docs/trace.schema.json of.
 *
 * Within a version, fields are only ever added, and then as optional ones: traces outlive vmexit.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { type DescribedReason, EXITS, HYPERV, type PayloadFields, RAW } from "../exits/describe.ts";
import { type HypervDetail, PLAIN_REASONS } from "../exits/exit.ts";
import type { OutcomeKind } from "../machine/outcome.ts";
import { HOLE_KINDS } from "../memory/hole.ts";
import {
  AMOUNT,
  BOOLEAN,
  described,
  exactly,
  type Fields,
  HEX,
  integer,
  type JsonObject,
  listOf,
  mapOf,
  matching,
  type Named,
  named,
  nullable,
  object,
  type ObjectOf,
  type Of,
  oneOf,
  optional,
  type Schema,
  type Shape,
  shape,
  TEXT,
  variants,
} from "../shape.ts";
import { SCHEMA_VERSION } from "./version.ts";

const UINT = integer(0);
const VERSION = exactly(SCHEMA_VERSION);
const ACCESS = oneOf("read", "write", "fetch", "unknown");
/** A moment of a run. */
export const TIME = named("time", "Microseconds since the guest was first entered.", AMOUNT);

/** A memory slot. */
export const SLOT = named(
  "slot",
  "A memory slot: RAM, read-only memory, or a guest_memfd with shared or private memory.",
  object({ id: UINT, gpa: HEX, size: HEX, kind: oneOf("ram", "rom", "gmem", "private") }),
);
/** A hole. */
export const HOLE = named(
  "hole",
  "A range of RAM that was made to fault.",
  object({ gpa: HEX, size: HEX, kind: oneOf(...HOLE_KINDS) }),
);
/** What was loaded. */
export const LOADED = named(
  "loaded",
  "A range of guest memory that the image was loaded into.",
  object({ name: described("What it is.", TEXT), gpa: HEX, size: HEX }),
);

/** The first record. */
export const BEGIN = named(
  "begin",
  "What runs, and on which machine: one record before the first exit.",
  object({
    type: exactly("begin"),
    v: VERSION,
    version: described("The version of vmexit.", TEXT),
    image: described("The image's path.", TEXT),
    boot: described("The boot protocol.", TEXT),
    machine: oneOf("bare", "pc"),
    cpus: described("How many vCPUs.", integer(1)),
    memory: described("Bytes of RAM.", HEX),
    slots: described("The memory slots when the guest starts.", listOf(SLOT)),
    holes: described("The holes, clipped to RAM.", listOf(HOLE)),
    loaded: described("What was loaded into guest memory.", listOf(LOADED)),
  }),
);
/** What runs, and on which machine. */
export type BeginRecord = Of<typeof BEGIN>;

/** The fields of every exit's record. Its payload is under its reason's name in lower case. */
export const EXIT = object({
  type: exactly("exit"),
  v: VERSION,
  n: described("Its number in the run.", integer(1)),
  t_us: TIME,
  cpu: described("The vCPU.", UINT),
  guest_us: optional(described("Microseconds in the guest since the exit record before.", AMOUNT)),
  reason: described(
    "KVM_EXIT_* without the prefix, or UNRECOGNIZED.",
    matching(/^[A-Z0-9_]{1,64}$/),
  ),
  code: described("kvm_run.exit_reason.", UINT),
  rip: optional(
    described("The instruction pointer as KVM left it: at the instruction or after it.", HEX),
  ),
});
/** One VM exit. */
export type ExitRecord = Of<typeof EXIT> & { readonly [payload: string]: unknown };

/** Something that the user should know. */
export const WARNING = named(
  "warning",
  "Something that the user should know.",
  object({ type: exactly("warning"), v: VERSION, message: TEXT }),
);
/** Something that the user should know. */
export type WarningRecord = Of<typeof WARNING>;

/** A memory fault, in whichever shape it came. */
export const FAULT = {
  gpa: described(
    "The guest physical address; null where it could not be found.",
    nullable(HEX),
  ),
  size: described("Bytes: as KVM says, or what the access spans.", HEX),
  access: ACCESS,
  visibility: described(
    "Which memory the access was to (flag bit 3).",
    oneOf("private", "shared"),
  ),
  errno: described("What KVM_RUN failed with; null where it did not fail.", nullable(TEXT)),
  shape: described(
    "Whether KVM said where and why, said nothing, or said something else.",
    oneOf("annotated", "unannotated", "disguised"),
  ),
  disguise: described(
    "What a disguised fault came as.",
    oneOf("mmio", "emulation", "shutdown", "stall", null),
  ),
  flags: described("memory_fault.flags.", HEX),
  located_by: described("How the address was found.", TEXT),
  gva: described("The linear address, where it is known.", nullable(HEX)),
  slot: described("The memory slot's number.", nullable(UINT)),
  hva_state: described("The host memory's state in words.", TEXT),
  rip: HEX,
  instruction: described("The instruction, where it could be decoded.", nullable(TEXT)),
  instruction_rip: described("Where that instruction begins.", nullable(HEX)),
} as const;
/** A memory fault's fields. */
export type FaultFields = ObjectOf<typeof FAULT>;

/** An attempt to resolve a fault. */
export const ATTEMPT = named(
  "attempt",
  "One attempt to resolve a memory fault.",
  object({ resolver: TEXT, note: TEXT }),
);
/** A step of a page walk. */
export const WALK_STEP = named(
  "walk_step",
  "A page-table entry.",
  object({ level: TEXT, entry_gpa: HEX, entry: HEX }),
);
/** An access of the faulting instruction. */
export const CANDIDATE = named(
  "candidate",
  "An access that may have faulted.",
  object({
    source: described("What makes the access.", TEXT),
    access: ACCESS,
    gva: nullable(HEX),
    gpa: nullable(HEX),
    size: UINT,
    bad: described("Whether the host cannot serve it.", BOOLEAN),
    state: described("The host memory's state in words.", TEXT),
    walk: described("The page-table entries that led there.", listOf(WALK_STEP)),
  }),
);
/** An access of the faulting instruction. */
export type CandidateFields = Of<typeof CANDIDATE>;

/** A segment register. */
export const SEGMENT = named(
  "segment",
  "A segment register with its hidden part.",
  object({ selector: HEX, base: HEX, limit: HEX }),
);
/** The registers. */
// deno-fmt-ignore
export const REGISTERS = named(
  "registers",
  "The registers at a memory fault.",
  object({
    rax: HEX, rbx: HEX, rcx: HEX, rdx: HEX, rsi: HEX, rdi: HEX, rsp: HEX, rbp: HEX,
    r8: HEX, r9: HEX, r10: HEX, r11: HEX, r12: HEX, r13: HEX, r14: HEX, r15: HEX,
    rip: HEX, rflags: HEX,
    cs: SEGMENT, ss: SEGMENT, ds: SEGMENT, es: SEGMENT, fs: SEGMENT, gs: SEGMENT,
    cr0: HEX, cr2: HEX, cr3: HEX, cr4: HEX, efer: HEX,
  }),
);

/** The registers. */
export type RegisterFields = Of<typeof REGISTERS>;

/** All that is known of a memory fault that ended a run. */
export const UNRESOLVED = {
  ...FAULT,
  tries: described("How often it was resolved and returned.", UINT),
  attempts: listOf(ATTEMPT),
  candidates: described("Every access that the instruction makes.", listOf(CANDIDATE)),
  registers: REGISTERS,
} as const;
/** The fields of a memory fault that ended a run. */
export type UnresolvedFields = ObjectOf<typeof UNRESOLVED>;

/** The payload of a memory fault's record: KVM's part, and the results of the search for it. */
const MEMORY_FAULT: Fields = {
  ...Object.fromEntries(
    Object.entries(FAULT).map(([name, shape]) => [
      name,
      name in EXITS.MEMORY_FAULT.fields ? shape : optional(shape),
    ]),
  ),
  verdict: optional(described("How it ended: resolved, injected, or why not.", TEXT)),
};

const COUNT = integer(1);
const BY_ADDRESS = mapOf(COUNT, { propertyNames: { pattern: "^0x[0-9a-f]+$" } });

/** What the last record of every run has. */
export const OUTCOME = object({
  type: exactly("outcome"),
  v: VERSION,
  kind: TEXT,
  cpu: optional(
    described("Where there are several vCPUs: the one whose exit ended the run.", UINT),
  ),
  exit_code: described("The process's exit code.", integer(0, 255)),
  message: described("The same in words.", TEXT),
  exits: described("How many exits there were.", UINT),
  by_reason: described("Exits by reason; an exit without a name by its number.", mapOf(COUNT)),
  faults_resolved: described("Memory faults that were resolved.", UINT),
  t_us: TIME,
  guest_us: optional(
    described(
      "Microseconds in the guest. This and what follows are absent where exits are not traced.",
      AMOUNT,
    ),
  ),
  by_port: optional(described("I/O exits by port.", BY_ADDRESS)),
  by_gpa_page: optional(described("MMIO exits by the page of the GPA.", BY_ADDRESS)),
});

/** How a run can end: the exit code, and what the record has besides. */
export interface OutcomeShape {
  readonly about?: string;
  readonly code: Shape<number>;
  readonly fields?: Fields;
  /** Keywords for fields whose names are not fixed. */
  readonly more?: Schema;
}

const ODD: Shape<number> = shape(
  { type: "integer", minimum: 1, maximum: 255, not: { multipleOf: 2 } },
  (value) => typeof value === "number" && value % 2 === 1,
);

const ANY_PAYLOAD = Object.keys({ ...KVM_EXIT, UNRECOGNIZED: -1 })
  .map((reason) => reason.toLowerCase()).sort().join("|");

function exitCode(meaning: keyof typeof EXIT_CODES): Shape<number> {
  return exactly(EXIT_CODES[meaning].code);
}

/** The kinds of outcomes. */
export const OUTCOMES = {
  halt: {
    about: "HLT on a bare machine; on a PC, HLT that nothing can end.",
    code: exitCode("success"),
  },
  power_off: { code: exitCode("success") },
  reset: { code: exitCode("success") },
  output_closed: {
    about: "The reader of stdout or of the trace closed it.",
    code: exitCode("success"),
  },
  debug_exit: {
    code: ODD,
    fields: { value: described("What the guest wrote to the debug-exit port.", UINT) },
  },
  output_failed: { code: exitCode("output") },
  host_limit: { code: exitCode("kvm_unavailable") },
  panic: { about: "The guest's kernel said so by pvpanic.", code: exitCode("panic") },
  memory_fault: {
    about: "A memory fault that could not be resolved.",
    code: exitCode("memory_fault"),
    fields: UNRESOLVED,
  },
  shutdown: { about: "A triple fault.", code: exitCode("shutdown") },
  internal_error: {
    code: exitCode("internal_error"),
    fields: {
      reason: exactly("INTERNAL_ERROR"),
      internal_error: payloadShape("INTERNAL_ERROR")!,
      instruction: optional(
        described("What KVM cannot emulate, where its bytes are known and decode.", TEXT),
      ),
    },
  },
  fail_entry: {
    code: exitCode("fail_entry"),
    fields: { reason: exactly("FAIL_ENTRY"), fail_entry: payloadShape("FAIL_ENTRY")! },
  },
  unhandled: {
    about: "An unhandled exit; its payload stands under its reason's name in lower case, null " +
      "where it has none.",
    code: exitCode("unhandled"),
    fields: { reason: TEXT },
    more: { patternProperties: { [`^(${ANY_PAYLOAD})$`]: { type: ["object", "null"] } } },
  },
  max_exits: { code: exitCode("max_exits") },
  run_failed: {
    code: exitCode("run_failed"),
    fields: { errno: described("What KVM_RUN failed with.", integer(1)) },
  },
  timeout: { code: exitCode("timeout") },
  quit: { about: "Keys typed at the console asked for it.", code: exitCode("interrupted") },
  interrupted: { code: exitCode("interrupted"), fields: { signal: TEXT } },
  stopped: { code: exitCode("success") },
} as const satisfies Record<OutcomeKind, OutcomeShape>;

/** The extra fields of an outcome's record, by its kind. */
export type OutcomeFields = {
  [K in OutcomeKind]:
    & { readonly kind: K }
    & (typeof OUTCOMES[K] extends { fields: infer F extends Fields } ? ObjectOf<F> : unknown);
}[OutcomeKind];

/** How a run ended. */
export type OutcomeRecord = Omit<Of<typeof OUTCOME>, "kind"> & OutcomeFields;

/** A line of a trace. */
export type TraceRecord = BeginRecord | ExitRecord | WarningRecord | OutcomeRecord;

/** The shapes of fields. */
function shapes<E>(fields: PayloadFields<E>): Fields {
  return Object.fromEntries(Object.entries(fields).map(([key, { shape }]) => [key, shape]));
}

const RAW_PAYLOAD = named(
  "raw",
  "The payload's bytes as they are: of a reason of another architecture, or of one without a name.",
  object(shapes(RAW)),
);

/** A reason's payload, as `$defs` has it; `undefined` where it has none or is not known. */
export function payloadShape(reason: string): (Shape<JsonObject> & Named) | undefined {
  const name = reason.toLowerCase();
  if (reason === "MEMORY_FAULT") {
    return named(name, "A memory fault, in whichever shape it came.", object(MEMORY_FAULT));
  }
  if (reason === "HYPERV") {
    const kinds = Object.entries(HYPERV).map(([kind, fields]) =>
      [kind, shapes(fields as PayloadFields<HypervDetail>)] as const
    );
    return named(name, "KVM_EXIT_HYPERV.", variants("kind", Object.fromEntries(kinds)));
  }
  if (Object.hasOwn(EXITS, reason)) {
    const { about, fields } = EXITS[reason as DescribedReason];
    const description = `KVM_EXIT_${reason}${about === undefined ? "" : `: ${about}`}.`;
    return named(name, description, object(shapes(fields)));
  }
  const isPlain = (PLAIN_REASONS as readonly string[]).includes(reason);
  const isKnown = reason === "UNRECOGNIZED" || Object.hasOwn(KVM_EXIT, reason);
  return isKnown && !isPlain ? RAW_PAYLOAD : undefined;
}
