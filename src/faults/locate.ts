/**
 * Finds where a memory fault happened when KVM does not say: every access that
 * the next instruction makes is translated as the processor would and the host
 * memory behind it is probed. Nothing of the guest is changed.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { CR0, EFER } from "../x86/control_registers.ts";
import {
  bitnessOf,
  type DecodedInstruction,
  type InstructionDecoder,
  linearRip,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";
import type { Registers, SystemRegisters } from "../x86/registers.ts";
import { walk, type WalkResult, type WalkStep } from "../x86/page_tables.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { HostPageState } from "../memory/host_page.ts";
import { PAGE_BYTES } from "../memory/ram.ts";

/** What the guest wanted to do. */
export type Access = "read" | "write" | "fetch" | "unknown";

/** A vCPU's state, as far as addresses depend on it. */
export interface CpuState {
  /** The general registers. */
  readonly regs: Registers;
  /** The system registers. */
  readonly sregs: SystemRegisters;
  /** What was about to be delivered. */
  readonly events?: PendingEvents;
}

/** The exception and the interrupt that a vCPU was about to be given (`struct kvm_vcpu_events`). */
export interface PendingEvents {
  /** The exception: `nr` counts if it was `injected` or is `pending`. */
  readonly exception: {
    readonly injected: number;
    readonly pending: number;
    readonly nr: number;
  };
  /** The interrupt: `nr` counts if it was `injected`. */
  readonly interrupt: { readonly injected: number; readonly nr: number };
}

/**
 * What kind of access it is: the fetch of the instruction, an operand of it, an
 * entry of the page tables on the way to either, or a descriptor (IDT, GDT, TSS).
 */
export type CandidateKind = "fetch" | "operand" | "table" | "descriptor";

/** An access that may have been the one that failed. */
export interface Candidate {
  /** What it is for. */
  readonly kind: CandidateKind;
  /** What makes the access: `instruction fetch`, `operand`, `page table entry (PT)`, … */
  readonly source: string;
  /** What it does. */
  readonly access: Access;
  /** The linear address, where the access is by one. */
  readonly gva?: bigint;
  /** Where the guest's page tables lead, if anywhere. */
  readonly gpa?: bigint;
  /** Bytes within this page. */
  readonly sizeBytes: number;
  /** Whether the host cannot serve it. */
  readonly bad: boolean;
  /** The state in words. */
  readonly state: string;
  /** The page-table entries that led there. */
  readonly walk: readonly WalkStep[];
}

/** What a search found. */
export interface Location {
  /** The access that failed, where one did. */
  readonly found: Candidate | undefined;
  /** All accesses that were looked at, in the order in which the processor makes them. */
  readonly candidates: readonly Candidate[];
  /** The instruction, where its bytes could be read and a decoder is loaded. */
  readonly instruction: DecodedInstruction | undefined;
}

const PAGE = BigInt(PAGE_BYTES);
const ACCESSED = 1n << 5n;
/** Bytes of an IDT entry in real, protected and long mode (SDM volume 3A, 6.11, 6.14.1, 21.1.4). */
const IDT_ENTRY_BYTES = { real: 4, protected: 8, long: 16 } as const;
/** Exceptions have the vectors below this. */
const EXCEPTIONS = 32;

/**
 * Looks at every access that the instruction at RIP makes.
 *
 * @param decoder without one, operands stay unknown
 * @param all whether to look at every access, or only up to the first bad one
 *
 * @example
 * ```ts
 * import type { GuestMemory } from "../memory/guest_memory.ts";
 * import { type CpuState, locate } from "./locate.ts";
 * import { decoder } from "../x86/instruction.ts";
 * function badGpa(cpu: CpuState, memory: GuestMemory): bigint | undefined {
 *   return locate(cpu, memory, decoder()).found?.gpa;
 * }
 * console.log(badGpa.length); // 2
 * ```
 */
export function locate(
  cpu: CpuState,
  memory: GuestMemory,
  decoder: InstructionDecoder | undefined,
  all = true,
): Location {
  const search = new Search(cpu, memory);
  const { candidates } = search;
  const found = (): Candidate | undefined => candidates.find((candidate) => candidate.bad);
  const instruction = search.fetch(decoder);
  if (instruction && (all || !found())) search.operands(instruction);
  if (instruction && (all || !found())) search.descriptors(instruction);
  if (all || !found()) search.delivery(instruction?.vector);
  return { found: found(), candidates, instruction };
}

/** Translates a linear address by the guest's own page tables. */
export function translate(cpu: CpuState, memory: GuestMemory, gva: bigint): WalkResult {
  return walk((gpa) => readU64(memory, gpa), cpu.sregs, gva);
}

function readU64(memory: GuestMemory, gpa: bigint): bigint | undefined {
  const bytes = memory.tryRead(gpa, 8);
  if (bytes.length < 8) return undefined;
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

class Search {
  readonly candidates: Candidate[] = [];
  readonly #cpu: CpuState;
  readonly #memory: GuestMemory;
  /** What was found out of a page already: its translation, by linear page number. */
  readonly #walks = new Map<bigint, WalkResult>();
  /** And its host page's state, by twice its number in guest physical memory, and one for writes. */
  readonly #probes = new Map<bigint, HostPageState | undefined>();

  constructor(cpu: CpuState, memory: GuestMemory) {
    this.#cpu = cpu;
    this.#memory = memory;
  }

  /** The instruction's own bytes: in one page, and in the next where one does not hold it all. */
  fetch(decoder: InstructionDecoder | undefined): DecodedInstruction | undefined {
    const { regs, sregs } = this.#cpu;
    const rip = linearRip(regs, sregs);
    const inFirstPage = Number(PAGE - (rip % PAGE));
    const here = Math.min(MAX_INSTRUCTION_BYTES, inFirstPage);
    this.access("fetch", "instruction fetch", "fetch", rip, here);
    const decode = (sizeBytes: number): DecodedInstruction | undefined =>
      decoder?.decode(this.#readVirtual(rip, sizeBytes), bitnessOf(sregs), regs, sregs);
    const instruction = decode(here);
    if (instruction || inFirstPage >= MAX_INSTRUCTION_BYTES) return instruction;
    const rest = MAX_INSTRUCTION_BYTES - inFirstPage;
    this.access("fetch", "instruction fetch", "fetch", rip + BigInt(inFirstPage), rest);
    return decode(MAX_INSTRUCTION_BYTES);
  }

  /** What the instruction reads and writes. */
  operands(instruction: DecodedInstruction): void {
    for (const { gva, sizeBytes, access } of instruction.operands) {
      this.access("operand", "operand", access === "read" ? "read" : "write", gva, sizeBytes);
    }
  }

  /** The descriptor that the instruction loads into a segment register. */
  descriptors({ selector }: DecodedInstruction): void {
    const { sregs } = this.#cpu;
    if (selector === undefined || !(sregs.cr0 & CR0.PE)) return;
    const table = selector & 4 ? sregs.ldt.base : sregs.gdt.base;
    this.access("descriptor", "descriptor", "read", table + BigInt(selector & ~7), 8);
  }

  /** What delivering an event reads: the IDT, and the TSS where the stack changes. */
  delivery(vector: number | undefined): void {
    const { sregs, events } = this.#cpu;
    const mode = sregs.efer & EFER.LMA ? "long" : sregs.cr0 & CR0.PE ? "protected" : "real";
    const entryBytes = IDT_ENTRY_BYTES[mode];
    const pending = events?.exception.injected || events?.exception.pending
      ? events.exception.nr
      : events?.interrupt.injected
      ? events.interrupt.nr
      : vector;
    const [first, count] = pending === undefined ? [0, EXCEPTIONS] : [pending, 1];
    this.access(
      "descriptor",
      "IDT entry",
      "read",
      sregs.idt.base + BigInt(first * entryBytes),
      count * entryBytes,
    );
    const privilege = sregs.ss.dpl;
    if (mode !== "real" && privilege === 3) {
      this.access("descriptor", "TSS", "read", sregs.tr.base + 4n, 8); // RSP0, or ESP0 and SS0
    }
  }

  /** Adds an access, a candidate for each page of it and for what is needed to translate it. */
  access(
    kind: CandidateKind,
    source: string,
    access: Access,
    gva: bigint,
    sizeBytes: number,
  ): void {
    for (let done = 0; done < sizeBytes;) {
      const at = gva + BigInt(done);
      const inPage = Math.min(sizeBytes - done, Number(PAGE - (at % PAGE)));
      this.#page(kind, source, access, at, inPage);
      done += inPage;
    }
  }

  #page(
    kind: CandidateKind,
    source: string,
    access: Access,
    gva: bigint,
    sizeBytes: number,
  ): void {
    const result = this.#translate(gva);
    const walked = result.steps;
    for (const { level, entryGpa, entry } of walked) {
      // The processor sets the accessed bit of an entry that it uses for the first time.
      const state = this.#probe(entryGpa, (entry & ACCESSED) === 0n);
      if (state && !state.usable) {
        this.#addEntry(source, level, entryGpa, gva, "write", state.text, walked);
        return;
      }
    }
    if (!result.mapped) {
      if (result.reason === "unreadable") {
        const state = this.#probe(result.entryGpa, false)?.text ?? "no memory slot";
        this.#addEntry(source, result.failedLevel, result.entryGpa, gva, "read", state, walked);
        return;
      }
      const level = result.reason === "non-canonical" ? "" : ` at the ${result.failedLevel}`;
      const state = `not mapped by the guest: ${result.reason}${level}`;
      const bad = false;
      this.candidates.push({ kind, source, access, gva, sizeBytes, bad, state, walk: walked });
      return;
    }
    const state = this.#probe(result.gpa, access === "write");
    const rom = this.#memory.slotAt(result.gpa)?.kind === "rom";
    this.candidates.push({
      kind,
      source,
      access,
      gva,
      gpa: result.gpa,
      sizeBytes,
      bad: state !== undefined && !state.usable,
      state: state === undefined
        ? "no memory slot (MMIO)"
        : rom && access === "write"
        ? "read-only slot (MMIO)"
        : state.text,
      walk: walked,
    });
  }

  #addEntry(
    source: string,
    level: string,
    gpa: bigint,
    gva: bigint,
    access: Access,
    state: string,
    walked: readonly WalkStep[],
  ): void {
    this.candidates.push({
      kind: "table",
      source: `page table entry (${level}) of the ${source} at ${hex(gva)}`,
      access,
      gpa,
      sizeBytes: 8,
      bad: this.#memory.slotAt(gpa) !== undefined,
      state,
      walk: walked,
    });
  }

  #translate(gva: bigint): WalkResult {
    const page = gva / PAGE;
    let result = this.#walks.get(page);
    if (!result) {
      result = translate(this.#cpu, this.#memory, gva & ~(PAGE - 1n));
      this.#walks.set(page, result);
    }
    return result.mapped ? { ...result, gpa: result.gpa + (gva % PAGE) } : result;
  }

  #probe(gpa: bigint, forWrite: boolean): HostPageState | undefined {
    const key = (gpa / PAGE) * 2n + (forWrite ? 1n : 0n);
    if (!this.#probes.has(key)) this.#probes.set(key, this.#memory.probe(gpa, forWrite));
    return this.#probes.get(key);
  }

  #readVirtual(gva: bigint, sizeBytes: number): Uint8Array {
    const bytes: number[] = [];
    while (bytes.length < sizeBytes) {
      const at = gva + BigInt(bytes.length);
      const result = this.#translate(at);
      if (!result.mapped) break;
      const inPage = Math.min(sizeBytes - bytes.length, Number(PAGE - (at % PAGE)));
      const read = this.#memory.tryRead(result.gpa, inPage);
      bytes.push(...read);
      if (read.length < inPage) break;
    }
    return Uint8Array.from(bytes);
  }
}
