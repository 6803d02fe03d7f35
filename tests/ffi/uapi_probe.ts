/**
 * The tables of `ffi/` flattened to C names, and a C program that prints the
 * same from a real `<linux/kvm.h>`, so that a compiler checks the tables.
 *
 * @module
 */

import * as caps from "../../ffi/kvm_caps.ts";
import * as consts from "../../ffi/kvm_consts.ts";
import * as ioctls from "../../ffi/kvm_ioctls.ts";
import * as run from "../../ffi/kvm_run.ts";
import * as structs from "../../ffi/kvm_structs.ts";
import * as vcpuStructs from "../../ffi/vcpu_structs.ts";
import { type Layout, sizeOf } from "../../ffi/layout.ts";

/** `[offset, size]` in bytes. */
type Place = [offset: number, size: number];

/** Everything the tables say, by C name. */
export interface UapiTable {
  /** Macros, ioctl numbers among them. */
  constants: Record<string, number>;
  /** Struct sizes, and their fields' places. */
  structs: Record<string, { size: number; fields: Record<string, Place> }>;
}

/** Tables whose keys do not simply follow the table's name in C. */
const C_NAME: Record<string, (key: string) => string> = {
  X86_VECTOR: (key) => `${key}_VECTOR`,
  KVM_X86_VM_TYPE: (key) => `KVM_X86_${key}_VM`,
  KVM_IRQ_ROUTING_TYPE: (key) => `KVM_IRQ_ROUTING_${key}`,
};

/** Constants of our own, and the C expression that each stands for. */
const EXPRESSION: Record<string, string> = {
  KVM_RUN_EXIT_OFFSET: "offsetof(struct kvm_run, hw)",
  KVM_RUN_EXIT_SIZE: "sizeof(((struct kvm_run *)0)->padding)",
  KVM_RUN_REGS_OFFSET: "offsetof(struct kvm_run, s.regs.regs)",
  KVM_RUN_SREGS_OFFSET: "offsetof(struct kvm_run, s.regs.sregs)",
  KVM_RUN_EVENTS_OFFSET: "offsetof(struct kvm_run, s.regs.events)",
};

/**
 * Structs and fields that are newer than the headers of long-lived
 * distributions, and a macro that came with each.
 */
const CAME_WITH: Record<string, string> = {
  "kvm_userspace_memory_region2": "KVM_SET_USER_MEMORY_REGION2",
  "kvm_create_guest_memfd": "KVM_CREATE_GUEST_MEMFD",
  "kvm_memory_attributes": "KVM_SET_MEMORY_ATTRIBUTES",
  "kvm_pre_fault_memory": "KVM_PRE_FAULT_MEMORY",
  "kvm_sregs2": "KVM_GET_SREGS2",
  "kvm_msr_filter": "KVM_X86_SET_MSR_FILTER",
  "kvm_msr_filter_range": "KVM_X86_SET_MSR_FILTER",
  "kvm_clock_data.pad0": "KVM_CLOCK_REALTIME",
  "kvm_clock_data.realtime": "KVM_CLOCK_REALTIME",
  "kvm_clock_data.host_tsc": "KVM_CLOCK_REALTIME",
  "kvm_clock_data.pad": "KVM_CLOCK_REALTIME",
  "kvm_vcpu_events.triple_fault": "KVM_VCPUEVENT_VALID_TRIPLE_FAULT",
  "kvm_vcpu_events.reserved": "KVM_VCPUEVENT_VALID_TRIPLE_FAULT",
  "kvm_hyperv_exit.u": "KVM_EXIT_HYPERV_SYNDBG",
  "kvm_hyperv_exit.u.syndbg": "KVM_EXIT_HYPERV_SYNDBG",
  "kvm_hyperv_exit": "KVM_EXIT_HYPERV_SYNDBG",
  "kvm_xen_exit": "KVM_EXIT_XEN",
  "kvm_xen_exit.u": "KVM_EXIT_XEN",
  "kvm_xen_exit.u.hcall": "KVM_EXIT_XEN",
  "kvm_run.msr": "KVM_EXIT_X86_RDMSR",
  "kvm_run.hypercall.flags": "KVM_EXIT_HYPERCALL_LONG_MODE",
  "kvm_run.emulation_failure": "KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES",
  "kvm_run.system_event": "KVM_CAP_SYSTEM_EVENT_DATA",
  "kvm_run.notify": "KVM_EXIT_NOTIFY",
  "kvm_run.memory_fault": "KVM_EXIT_MEMORY_FAULT",
  "kvm_run.tdx": "KVM_EXIT_TDX",
  "kvm_run.tdx.unknown": "KVM_EXIT_TDX",
  "kvm_run.tdx.get_quote": "KVM_EXIT_TDX",
  "kvm_run.tdx.get_tdvmcall_info": "KVM_EXIT_TDX",
  "kvm_run.tdx.setup_event_notify": "KVM_EXIT_TDX",
  "kvm_exit_snp_req_certs": "KVM_EXIT_SNP_REQ_CERTS",
};

function isLayout(value: unknown): value is Layout {
  return typeof value === "object" && value !== null && "fields" in value;
}

/** What the tables of `ffi/` say. */
export function ourTable(): UapiTable {
  const table: UapiTable = { constants: {}, structs: {} };
  for (const module of [caps, consts, ioctls, run, structs, vcpuStructs]) {
    for (const [name, value] of Object.entries(module)) {
      if (isLayout(value)) {
        table.structs[value.name] = {
          size: value.size,
          fields: Object.fromEntries(
            Object.entries(value.fields).map(([field, [offset, type, count]]): [string, Place] => [
              field,
              [offset, sizeOf(type) * (count ?? 1)],
            ]),
          ),
        };
      } else if (typeof value === "object") {
        const cName = C_NAME[name] ?? ((key: string): string => `${name}_${key}`);
        for (const [key, member] of Object.entries(value)) {
          table.constants[cName(key)] = Number(member);
        }
      } else {
        table.constants[name] = Number(value);
      }
    }
  }
  return table;
}

/** The C type of a layout: `kvm_run.io` is a member of `struct kvm_run`. */
function cType(name: string): string {
  const [struct, ...path] = name.split(".");
  return path.length === 0
    ? `struct ${struct}`
    : `__typeof__(((struct ${struct} *)0)->${path.join(".")})`;
}

function guarded(macro: string | undefined, lines: string[]): string[] {
  return macro === undefined ? lines : [`#ifdef ${macro}`, ...lines, "#endif"];
}

/** A C program that prints what its `<linux/kvm.h>` has of the names in `table`. */
export function probeSource(table: UapiTable): string {
  const body: string[] = [];
  for (const name of Object.keys(table.constants)) {
    const expression = EXPRESSION[name];
    body.push(
      ...guarded(expression === undefined ? name : undefined, [
        `printf("constant ${name} %llu\\n", (unsigned long long)(${expression ?? name}));`,
      ]),
    );
  }
  for (const [name, { fields }] of Object.entries(table.structs)) {
    const type = cType(name);
    const lines = [`printf("struct ${name} %zu\\n", sizeof(${type}));`];
    for (const field of Object.keys(fields)) {
      lines.push(...guarded(CAME_WITH[`${name}.${field}`], [
        `printf("field ${name} ${field} %zu %zu\\n", offsetof(${type}, ${field}), ` +
        `sizeof(((${type} *)0)->${field}));`,
      ]));
    }
    body.push(...guarded(CAME_WITH[name], lines));
  }
  return [
    "#include <stddef.h>",
    "#include <stdio.h>",
    "#include <linux/kvm.h>",
    "#include <linux/kvm_para.h>",
    "int main(void) {",
    ...body,
    "return 0;",
    "}",
    "",
  ].join("\n");
}

/** Reads what a program of {@linkcode probeSource} printed. */
export function parseProbe(text: string): UapiTable {
  const table: UapiTable = { constants: {}, structs: {} };
  for (const line of text.trimEnd().split("\n")) {
    const [kind, name, ...rest] = line.split(" ");
    if (kind === "constant") table.constants[name!] = Number(rest[0]);
    else if (kind === "struct") table.structs[name!] = { size: Number(rest[0]), fields: {} };
    else table.structs[name!]!.fields[rest[0]!] = [Number(rest[1]), Number(rest[2])];
  }
  return table;
}

/** Compiles `source` with `cc` and `flags`, runs it and returns what it printed. */
export function compileAndRun(source: string, flags: string[] = []): string {
  const dir = Deno.makeTempDirSync({ prefix: "vmexit-uapi-" });
  try {
    Deno.writeTextFileSync(`${dir}/probe.c`, source);
    runOrThrow("cc", [...flags, "-o", `${dir}/probe`, `${dir}/probe.c`]);
    return runOrThrow(`${dir}/probe`, []);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function runOrThrow(program: string, args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command(program, { args }).outputSync();
  if (!success) throw new Error(`${program} failed:\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Why this machine cannot compile C against `header`, or undefined where it can. */
export function cannotCompile(header: string): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "not x86-64 Linux";
  try {
    new Deno.Command("cc", { args: ["--version"] }).outputSync();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no C compiler";
    throw error;
  }
  try {
    compileAndRun(`#include <${header}>\nint main(void) { return 0; }\n`);
  } catch {
    return `no <${header}>`;
  }
  return undefined;
}
