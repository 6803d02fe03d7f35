import { assert, assertEquals } from "@std/assert";
import schemaFile from "../../docs/trace.schema.json" with { type: "json" };
import { KVM_EXIT, KVM_EXIT_HYPERV } from "../../ffi/kvm_consts.ts";
import * as run from "../../ffi/kvm_run.ts";
import { encode } from "../../ffi/layout.ts";
import { planBoot } from "../../src/boot/detect.ts";
import { decodeExit } from "../../src/exits/decode.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import { RunStatistics } from "../../src/machine/statistics.ts";
import { HOLE_KINDS } from "../../src/memory/hole.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { planSlots } from "../../src/memory/slots.ts";
import { traceSchema } from "../../src/trace/schema.ts";
import { beginJson, exitJson, outcomeJson, warningJson } from "../../src/trace/json.ts";
import { SAMPLES } from "../exits/samples.ts";
import { DEFINITIONS, schemaError } from "../lib/trace_schema.ts";

const CIRCUMSTANCES = { n: 1, tUs: 0.25, cpu: 0, guestUs: 0.2, handler: undefined };

function assertValid(line: string): void {
  assertEquals(schemaError(JSON.parse(line)), undefined, line);
}

function record(name: string): Record<string, unknown> {
  const sample = SAMPLES.find((each) => each.name.startsWith(name))!;
  return JSON.parse(exitJson({ ...CIRCUMSTANCES, exit: sample.exit }));
}

Deno.test("docs/trace.schema.json is the schema by which records are made and read", () => {
  const made = JSON.parse(JSON.stringify(traceSchema()));
  assertEquals(schemaFile, made, "write it anew with ./dev schema");
});

Deno.test("the schema has every exit reason under its number, and no other", () => {
  const branches: { properties: Record<string, { const?: unknown }> }[] = DEFINITIONS.exit!.oneOf;
  const known = branches
    .map(({ properties }) => [properties.reason!.const, properties.code?.const])
    .filter(([, code]) => code !== undefined);
  assertEquals(Object.fromEntries(known), KVM_EXIT);
  assertEquals(branches.length - known.length, 1, "the one without a number is UNRECOGNIZED");
});

for (const { name, exit } of SAMPLES) {
  Deno.test(`an exit fits the schema: ${name}`, () => {
    assertValid(exitJson({ ...CIRCUMSTANCES, exit }));
    assertValid(exitJson({ ...CIRCUMSTANCES, exit: { ...exit, rip: 0xffff_ffff_ffff_ffffn } }));
  });
}

Deno.test("whatever the payload holds, an exit fits the schema", () => {
  const types = [...Object.values(KVM_EXIT_HYPERV), 0xff];
  for (const reason of [...Object.values(KVM_EXIT), 0xffff_ffff]) {
    for (const fill of [0x00, 0x01, 0x7f, 0xff]) {
      for (const type of reason === KVM_EXIT.HYPERV ? types : [undefined]) {
        const area = new Uint8Array(3 * 4096);
        area.fill(fill, run.KVM_RUN_EXIT_OFFSET, run.KVM_RUN_EXIT_OFFSET + run.KVM_RUN_EXIT_SIZE);
        encode(run.KVM_RUN_STRUCT, { exit_reason: reason }, area);
        if (type !== undefined) {
          encode(run.KVM_RUN_HYPERV, { type }, area, run.KVM_RUN_EXIT_OFFSET);
        }
        // KVM itself says where port data is and how much: not the guest's to choose.
        if (reason === KVM_EXIT.IO) {
          const io = { direction: fill & 1, size: 1, port: fill, count: 2, data_offset: 4096n };
          encode(run.KVM_RUN_IO, io, area, run.KVM_RUN_EXIT_OFFSET);
        }
        assertValid(exitJson({ ...CIRCUMSTANCES, exit: decodeExit(new ExitPage(area)) }));
      }
    }
  }
});

const EMULATION_FAILURE = { reason: "INTERNAL_ERROR", code: 17, suberror: 1, data: [] } as const;

/** An outcome of each kind but memory_fault, which only a run can have. */
const OUTCOMES: readonly Outcome[] = [
  { kind: "halt" },
  { kind: "power_off" },
  { kind: "reset" },
  { kind: "panic" },
  { kind: "debug_exit", value: 0xffff_ffff },
  { kind: "shutdown", rip: 1n },
  { kind: "max_exits", limit: 3 },
  { kind: "run_failed", errno: 22 },
  { kind: "timeout", timeoutMs: 1.5 },
  { kind: "interrupted", signal: "SIGINT" },
  { kind: "stopped" },
  { kind: "quit", keys: "Ctrl-A x" },
  { kind: "output_closed" },
  { kind: "output_failed", what: "stdout: No space left on device" },
  { kind: "host_limit", what: "mmap: Cannot allocate memory (ENOMEM)" },
  { kind: "internal_error", exit: EMULATION_FAILURE, instruction: "fninit" },
  ...SAMPLES.flatMap(({ exit }): Outcome[] => [
    { kind: "unhandled", exit },
    ...(exit.reason === "INTERNAL_ERROR" ? [{ kind: "internal_error", exit } as const] : []),
    ...(exit.reason === "FAIL_ENTRY" ? [{ kind: "fail_entry", exit } as const] : []),
  ]),
];

Deno.test("an outcome of every kind fits the schema, with and without details", () => {
  for (const detailed of [false, true]) {
    const statistics = new RunStatistics(detailed);
    statistics.count(KVM_EXIT.IO);
    statistics.countPort(0x3f8);
    statistics.count(200);
    statistics.countGpa(0xd000_0000);
    for (const outcome of OUTCOMES) assertValid(outcomeJson({ outcome, statistics, tUs: 1 }));
  }
  const kinds = DEFINITIONS.outcome!.oneOf as { properties: { kind: { const: string } } }[];
  const tested = new Set(OUTCOMES.map(({ kind }) => kind).concat("memory_fault"));
  assertEquals(new Set(kinds.map(({ properties }) => properties.kind.const)), tested);
});

Deno.test("a begin record fits the schema, whatever the slots and holes", () => {
  const ram = ramLayout(5 * 2 ** 30);
  const holes = HOLE_KINDS.map((kind, i) => ({ gpa: i << 12, sizeBytes: 4096, kind }));
  const memory = { slots: planSlots(ram, holes), holes };
  const plan = planBoot(new Uint8Array([0xf4]), "", "flat64", { ram });
  const facts = { version: "1.2.3", image: "x", plan, cpus: 1, memoryBytes: 5 * 2 ** 30, memory };
  for (const machine of ["bare", "pc"] as const) assertValid(beginJson({ ...facts, machine }));
});

Deno.test("a warning fits the schema", () => {
  assertValid(warningJson("no device claims port 0x80"));
});

Deno.test("the schema refuses records that are not as documented", () => {
  const io = record("IO, a character written");
  const payload = io.io as Record<string, unknown>;
  const { rip: _, ...withoutRip } = { rip: "0x0", ...io };
  assertEquals(schemaError(withoutRip), undefined);
  const wrong: Record<string, unknown>[] = [
    { ...io, v: 2 },
    { ...io, type: "other" },
    { ...io, n: 0 },
    { ...io, n: "1" },
    { ...io, rip: "1000" },
    { ...io, code: 6 },
    { ...io, reason: "MMIO", code: 6 },
    { ...io, reason: "HLT", code: 5 },
    { ...io, another: 1 },
    { ...io, io: undefined },
    { ...io, io: { ...payload, another: 1 } },
    { ...io, io: { ...payload, port: 65536 } },
    { ...io, io: { ...payload, data: "4" } },
    { ...io, io: { ...payload, direction: "up" } },
    { ...record("a number without a name"), unrecognized: {} },
    { type: "warning", v: 1 },
    { type: "outcome", v: 1, kind: "halt", exit_code: 0 },
  ];
  for (const each of wrong) {
    const plain = JSON.parse(JSON.stringify(each));
    assert(schemaError(plain) !== undefined, JSON.stringify(plain));
  }
});

Deno.test("the schema ties an outcome's kind to its exit code and its fields", () => {
  const statistics = new RunStatistics(false);
  const json = (outcome: Outcome) => JSON.parse(outcomeJson({ outcome, statistics, tUs: 1 }));
  const halt = json({ kind: "halt" });
  const exit = json({ kind: "debug_exit", value: 1 });
  for (
    const wrong of [
      { ...halt, exit_code: 20 },
      { ...halt, kind: "timeout" },
      { ...halt, kind: "nonsense" },
      { ...halt, value: 1 },
      { ...exit, exit_code: 4 },
      { ...exit, value: undefined },
      { ...halt, by_reason: { IO: "many" } },
    ]
  ) {
    const plain = JSON.parse(JSON.stringify(wrong));
    assert(schemaError(plain) !== undefined, JSON.stringify(plain));
  }
});
