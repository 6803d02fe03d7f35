/// <reference lib="dom" />
/**
 * The memory fault that ended a run, from the fields of its record: where and why, the accesses of
 * the instruction with the page-table entries that led there, and the registers.
 *
 * @module
 */

import type { OutcomeRecord } from "../../trace/records.ts";
import {
  describeCr0,
  describeCr4,
  describeEfer,
  describeRflags,
} from "../../x86/control_registers.ts";
import { element } from "./dom.ts";

/** An outcome that is a memory fault. */
export type FaultOutcome = Extract<OutcomeRecord, { readonly kind: "memory_fault" }>;

type CandidateFields = FaultOutcome["candidates"][number];
type Registers = FaultOutcome["registers"];

const GENERAL = [
  ...["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"],
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
] as (keyof Registers)[];
const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs"] as const;
/** Hexadecimal digits of a register. */
const DIGITS = 16;

/** A fault in one sentence. */
export function faultHeadline({ access, size, gpa, hva_state }: FaultOutcome): string {
  const where = gpa === null ? "an address that was not found" : `GPA ${gpa}`;
  return `memory fault: ${access} of ${Number(size)} bytes at ${where}: ${hva_state}`;
}

/** Fills the panel. */
export function showFault(panel: HTMLElement, fault: FaultOutcome): void {
  panel.hidden = false;
  panel.append(
    element(
      "div",
      { class: "fault" },
      facts(fault),
      element("div", { class: "wide" }, accessTable(fault)),
      element("div", { class: "wide" }, registerTable(fault.registers)),
    ),
  );
}

function facts(fault: FaultOutcome): HTMLElement {
  const at = fault.instruction_rip === null || fault.instruction_rip === fault.rip
    ? ""
    : ` at ${fault.instruction_rip}`;
  const shape = fault.disguise === null ? fault.shape : `${fault.shape} (${fault.disguise})`;
  const tried = fault.attempts.map(({ resolver, note }) => `${resolver}: ${note}`).join("; ");
  const list: [string, string][] = [
    ["GPA", fault.gpa ?? "not found"],
    ["GVA", fault.gva ?? "unknown"],
    ["access", `${fault.access}, ${Number(fault.size)} bytes, ${fault.visibility}`],
    ["host memory", fault.hva_state],
    ["slot", fault.slot === null ? "none" : String(fault.slot)],
    ["instruction", (fault.instruction ?? "not readable") + at],
    ["RIP", fault.rip],
    ["located by", fault.located_by],
    ["reported as", `${shape}, ${fault.errno ?? "no errno"}, flags ${fault.flags}`],
    ["tried", tried === "" ? "nothing" : tried],
  ];
  return element(
    "dl",
    {},
    ...list.flatMap(([name, value]) => [
      element("dt", { text: name }),
      element("dd", { text: value }),
    ]),
  );
}

function accessTable({ candidates }: FaultOutcome): HTMLElement {
  return table(
    "Accesses of the instruction",
    ["", "source", "access", "GVA", "GPA", "host memory"],
    [
      ...candidates.flatMap((candidate) => [
        row({ class: candidate.bad ? "bad" : "" }, [
          candidate.bad ? "bad" : "ok",
          candidate.source,
          `${candidate.access} ${candidate.size}`,
          candidate.gva ?? "",
          candidate.gpa ?? "",
          candidate.state,
        ]),
        ...walkRows(candidate),
      ]),
    ],
  );
}

function walkRows({ walk }: CandidateFields): HTMLElement[] {
  return walk.map(({ level, entry_gpa, entry }) =>
    row({ class: "walk" }, ["", `${level} entry`, "", "", entry_gpa, `holds ${entry}`])
  );
}

function registerTable(registers: Registers): HTMLElement {
  const wide = (name: keyof Registers): string =>
    String(registers[name]).slice(2).padStart(DIGITS, "0");
  const general = Array.from({ length: GENERAL.length / 2 }, (_, i) => {
    const [first, second] = [GENERAL[i]!, GENERAL[i + GENERAL.length / 2]!];
    return row({}, [first, wide(first), second, wide(second)]);
  });
  const { rip, rflags, cr0, cr2, cr3, cr4, efer } = registers;
  const system: readonly (readonly [name: string, value: string, words: string])[] = [
    ["rip", rip, ""],
    ["rflags", rflags, describeRflags(BigInt(rflags))],
    ["cr0", cr0, describeCr0(BigInt(cr0))],
    ["cr2", cr2, ""],
    ["cr3", cr3, ""],
    ["cr4", cr4, describeCr4(BigInt(cr4))],
    ["efer", efer, describeEfer(BigInt(efer))],
    ...SEGMENTS.map((name) => {
      const { selector, base, limit } = registers[name];
      return [name, selector, `base ${base} limit ${limit}`] as const;
    }),
  ];
  return table("Registers", [], [
    ...general,
    ...system.map(([name, value, words]) => {
      const line = row({}, [name, value]);
      line.append(element("td", { colspan: 2, class: "muted", text: words }));
      return line;
    }),
  ]);
}

function table(caption: string, heads: readonly string[], rows: HTMLElement[]): HTMLElement {
  return element(
    "table",
    {},
    element("caption", { text: caption }),
    ...(heads.length === 0 ? [] : [
      element(
        "thead",
        {},
        element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text }))),
      ),
    ]),
    element("tbody", {}, ...rows),
  );
}

function row(attributes: { class?: string }, cells: readonly string[]): HTMLTableRowElement {
  return element("tr", attributes, ...cells.map((text) => element("td", { text })));
}
