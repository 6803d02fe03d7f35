/**
 * Finds the access that failed when KVM gives no address (R6): translates what the
 * next instruction accesses as the processor would, and probes the host memory
 * behind it. The guest does not change.
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
  type MemoryOperand,
} from "../x86/instruction.ts";
import type { Registers, SystemRegisters } from "../x86/registers.ts";
import { walk, type WalkResult, type WalkStep } from "../x86/page_tables.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { HostPageState } from "../memory/host_page.ts";
import { offsetInPage, PAGE_BYTES, pageOf, pagePieces } from "../pages.ts";

/** What the guest attempted. */
export type Access = "read" | "write" | "fetch" | "unknown";

/** What a search needs of guest memory. */
export type ProbedMemory = Pick<GuestMemory, "slotAt" | "probe" | "tryRead">;

/** A vCPU's state, as far as addresses depend on it. */
export interface CpuState {
  /** The general registers. */
  readonly regs: Registers;
  /** The system registers. */
  readonly sregs: SystemRegisters;
  /** What is queued for delivery. */
  readonly events?: PendingEvents;
}

/** The exception and the interrupt queued for a vCPU (`struct kvm_vcpu_events`). */
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

/** An access that may be the one that failed. */
export interface Candidate {
  /** Its part in the instruction. */
  readonly kind: CandidateKind;
  /** What makes the access: `instruction fetch`, `operand`, `page table entry (PT)`, … */
  readonly source: string;
  /** What it does. */
  readonly access: Access;
  /** The linear address, if it has one. */
  readonly gva?: bigint;
  /** The GPA that the guest's page tables give it, if any. */
  readonly gpa?: bigint;
  /** Bytes within this page. */
  readonly sizeBytes: number;
  /** Whether the host memory behind it is unusable. */
  readonly bad: boolean;
  /** The state in words. */
  readonly state: string;
  /** The page-table entries that led there. */
  readonly walk: readonly WalkStep[];
}

/** The result of a search. */
export interface Location {
  /** The access that failed, where one did. */
  readonly found: Candidate | undefined;
  /** All accesses examined, in the processor's order. */
  readonly candidates: readonly Candidate[];
  /** The instruction, if its bytes could be read and a decoder is loaded. */
  readonly instruction: DecodedInstruction | undefined;
}

const ACCESSED = 1n << 5n;
/** Bytes of an IDT entry in real, protected and long mode (SDM volume 3A, 6.11, 6.14.1, 21.1.4). */
const IDT_ENTRY_BYTES = { real: 4, protected: 8, long: 16 } as const;
/** Exceptions have the vectors below this. */
const EXCEPTIONS = 32;

/**
 * Examines every access of the instruction at RIP.
 *
 * @param decoder without one, operands stay unknown
 * @param all whether to examine every access, or stop at the first bad one
 *
 * @example
 * ```ts
 * import { type CpuState, locate, type ProbedMemory } from "./locate.ts";
 * import { decoder } from "../x86/instruction.ts";
 * function badGpa(cpu: CpuState, memory: ProbedMemory): bigint | undefined {
 *   return locate(cpu, memory, decoder()).found?.gpa;
 * }
 * console.log(badGpa.length); // 2
 * ```
 */
export function locate(
  cpu: CpuState,
  memory: ProbedMemory,
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
export function translate(cpu: CpuState, memory: ProbedMemory, gva: bigint): WalkResult {
  return walk((gpa) => readU64(memory, gpa), cpu.sregs, gva);
}

function readU64(memory: ProbedMemory, gpa: bigint): bigint | undefined {
  const bytes = memory.tryRead(gpa, 8);
  if (bytes.length < 8) return undefined;
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

class Search {
  readonly candidates: Candidate[] = [];
  readonly #cpu: CpuState;
  readonly #memory: ProbedMemory;
  /** Translations by linear page. */
  readonly #walks = new Map<bigint, WalkResult>();
  /** Host pages by guest physical page, for reads and for writes. */
  readonly #readable = new Map<bigint, HostPageState | undefined>();
  readonly #writable = new Map<bigint, HostPageState | undefined>();

  constructor(cpu: CpuState, memory: ProbedMemory) {
    this.#cpu = cpu;
    this.#memory = memory;
  }

  /** The instruction's bytes: one page, and the next one if it does not end there. */
  fetch(decoder: InstructionDecoder | undefined): DecodedInstruction | undefined {
    const { regs, sregs } = this.#cpu;
    const rip = linearRip(regs, sregs);
    const inFirstPage = PAGE_BYTES - offsetInPage(rip);
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

  /** The memory operands. */
  operands(instruction: DecodedInstruction): void {
    // What is stored is read first: both sides of MOVS, POP to memory.
    const reads = (operand: MemoryOperand): number => operand.access === "write" ? 1 : 0;
    const inOrder = [...instruction.operands].sort((a, b) => reads(a) - reads(b));
    for (const { gva, sizeBytes, access } of inOrder) {
      this.access("operand", "operand", access === "read" ? "read" : "write", gva, sizeBytes);
    }
  }

  /** The descriptor that a segment load reads. */
  descriptors({ selector }: DecodedInstruction): void {
    const { sregs } = this.#cpu;
    if (selector === undefined || !(sregs.cr0 & CR0.PE)) return;
    const table = selector & 4 ? sregs.ldt.base : sregs.gdt.base;
    this.access("descriptor", "descriptor", "read", table + BigInt(selector & ~7), 8);
  }

  /** What event delivery reads: the IDT, and the TSS if the stack changes. */
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

  /** Adds an access: a candidate for each of its pages, or for the table entry that fails. */
  access(
    kind: CandidateKind,
    source: string,
    access: Access,
    gva: bigint,
    sizeBytes: number,
  ): void {
    for (const piece of pagePieces(gva, sizeBytes)) {
      this.#page(kind, source, access, piece.address, piece.sizeBytes);
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
      // The processor sets the accessed bit of an entry on first use; PAE's PDPT entries have none.
      const hasAccessed = level !== "PDPT" || (this.#cpu.sregs.efer & EFER.LMA) !== 0n;
      const state = this.#probe(entryGpa, hasAccessed && (entry & ACCESSED) === 0n);
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
    const page = pageOf(gva);
    let result = this.#walks.get(page);
    if (!result) {
      result = translate(this.#cpu, this.#memory, page);
      this.#walks.set(page, result);
    }
    return result.mapped ? { ...result, gpa: result.gpa + gva - page } : result;
  }

  #probe(gpa: bigint, forWrite: boolean): HostPageState | undefined {
    const probes = forWrite ? this.#writable : this.#readable;
    const page = pageOf(gpa);
    if (!probes.has(page)) probes.set(page, this.#memory.probe(page, forWrite));
    return probes.get(page);
  }

  #readVirtual(gva: bigint, sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    for (const piece of pagePieces(gva, sizeBytes)) {
      const result = this.#translate(piece.address);
      if (!result.mapped) return bytes.subarray(0, piece.offset);
      const read = this.#memory.tryRead(result.gpa, piece.sizeBytes);
      bytes.set(read, piece.offset);
      if (read.length < piece.sizeBytes) return bytes.subarray(0, piece.offset + read.length);
    }
    return bytes;
  }
}
