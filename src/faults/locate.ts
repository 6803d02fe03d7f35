/**
 * Finds the access that failed when KVM gives no address (R6): translates what the
 * next instruction accesses as the processor would, and probes the host memory
 * behind it. The guest does not change.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { X86_VECTOR } from "../../ffi/kvm_consts.ts";
import {
  type MemoryAccess,
  operandAccesses,
  type ReadLinear,
  type RegisterState,
} from "../x86/accesses.ts";
import { CR0, EFER, RFLAGS } from "../x86/control_registers.ts";
import {
  anyDeliveryAccesses,
  deliveryAccesses,
  descriptorAccesses,
  portAccesses,
} from "../x86/descriptors.ts";
import {
  bitnessOf,
  type DecodedInstruction,
  type InstructionDecoder,
  linearRip,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";
import type { ExtendedState } from "../x86/extended_state.ts";
import type { Registers, SystemRegisters } from "../x86/registers.ts";
import type { WalkResult, WalkStep } from "../x86/page_tables.ts";
import type { Candidate, CandidateKind, GuestAccess } from "./candidate.ts";
import { type ProbedMemory, readLinear, translate } from "./linear_memory.ts";
import type { HostPageState } from "../memory/host_page.ts";
import { offsetInPage, PAGE_BYTES, pageOf, pagePieces } from "../pages.ts";

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
  /** The non-maskable interrupt: vector 2 if it was `injected`. */
  readonly nmi?: { readonly injected: number };
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
const DIRTY = 1n << 6n;
const NMI_VECTOR = 2;

/**
 * Examines every access of the instruction at RIP.
 *
 * @param extended gives the vector and mask registers, if an instruction needs them
 *
 * @example
 * ```ts
 * import type { ProbedMemory } from "./linear_memory.ts";
 * import { type CpuState, locate } from "./locate.ts";
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
  decoder: InstructionDecoder,
  extended?: () => ExtendedState,
): Location {
  const search = new Search(cpu, memory, extended);
  const instruction = search.run(decoder);
  return { found: search.found, candidates: search.candidates, instruction };
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
  readonly #state: RegisterState;
  /** The vector of the exception that the guest gets instead of the next access. */
  #exception: number | undefined;
  /** The bytes behind an undefined opcode, in the next page. */
  #more: { readonly gva: bigint; readonly sizeBytes: number } | undefined;

  constructor(cpu: CpuState, memory: ProbedMemory, extended?: () => ExtendedState) {
    this.#cpu = cpu;
    this.#memory = memory;
    let known: ExtendedState | undefined;
    this.#state = {
      ...cpu,
      get extended() {
        return known ??= extended?.();
      },
    };
  }

  get found(): Candidate | undefined {
    return this.candidates.find((candidate) => candidate.bad);
  }

  run(decoder: InstructionDecoder): DecodedInstruction | undefined {
    const instruction = this.#search(decoder);
    if (!this.found) this.#addUnwritableTables();
    if (!this.found) this.#addMoreBytes();
    return instruction;
  }

  #search(decoder: InstructionDecoder): DecodedInstruction | undefined {
    const queued = queuedVector(this.#cpu.events);
    // Nothing runs before the delivery is through.
    if (queued !== undefined) this.#add(deliveryAccesses(queued, false, this.#state, this.#read));
    const instruction = this.#fetch(decoder);
    if (instruction) this.#execute(instruction);
    if (queued !== undefined) return instruction;
    const isSoftware = this.#exception === undefined && isRaised(instruction, this.#cpu.regs);
    const vector = this.#exception ?? (isSoftware ? instruction?.vector : undefined);
    this.#exception = undefined;
    if (vector !== undefined) {
      this.#add(deliveryAccesses(vector, isSoftware, this.#state, this.#read));
    } else if (!this.found) {
      this.#add(anyDeliveryAccesses(instruction, this.#state, this.#read), "exception");
    }
    return instruction;
  }

  /** The instruction's bytes: one page, and the next one if it does not end there. */
  #fetch(decoder: InstructionDecoder): DecodedInstruction | undefined {
    const { regs, sregs } = this.#cpu;
    const rip = linearRip(regs, sregs);
    const bitness = bitnessOf(sregs);
    const most = bitness === 64
      ? MAX_INSTRUCTION_BYTES
      : Math.min(MAX_INSTRUCTION_BYTES, sregs.cs.limit + 1 - Number(regs.rip));
    if (most <= 0) {
      this.#exception = X86_VECTOR.GP;
      return undefined;
    }
    const here = Math.min(most, PAGE_BYTES - offsetInPage(rip));
    this.#access("fetch", "instruction fetch", "fetch", rip, here);
    let code = this.#readVirtual(rip, here);
    if (here < most && code.length === here && decoder.isTruncated(code, bitness)) {
      const next = rip + BigInt(here);
      this.#access("fetch", "instruction fetch", "fetch", next, most - here);
      code = this.#readVirtual(rip, most);
    }
    const instruction = decoder.decode(code, bitness, regs);
    if (instruction || code.length === 0) return instruction;
    if (!decoder.isTruncated(code, bitness)) {
      this.#exception ??= X86_VECTOR.UD;
      if (here < most) this.#more = { gva: rip + BigInt(here), sizeBytes: most - here };
    } else if (code.length === most) {
      // Bytes that end with the segment need more than it has.
      this.#exception ??= X86_VECTOR.GP;
    }
    return undefined;
  }

  /** The operands that are read, the descriptors that they name, the operands that are written. */
  #execute(instruction: DecodedInstruction): void {
    if (/^Ud[012]$/.test(instruction.mnemonic)) {
      this.#exception ??= X86_VECTOR.UD;
      return;
    }
    const operands = operandAccesses(instruction, this.#state, this.#read);
    if (instruction.mnemonic === "Enter") return this.#add(operands);
    this.#add(portAccesses(instruction, this.#state, this.#read));
    const reads = operands.filter(({ access }) => access === "read");
    this.#add(reads);
    this.#add(descriptorAccesses(instruction, reads, this.#state, this.#read));
    this.#add(operands.filter(({ access }) => access === "write"));
  }

  /** Adds accesses, up to one that raises an exception. */
  #add(accesses: Iterable<MemoryAccess>, speculative?: "exception"): void {
    if (this.#exception !== undefined) return;
    const before = this.candidates.length;
    for (const { kind, source, access, gva, sizeBytes, refused } of accesses) {
      if (refused) {
        const bad = false;
        const state = refused;
        this.candidates.push({ kind, source, access, gva, sizeBytes, bad, state, walk: [] });
        this.#exception = X86_VECTOR.GP;
      } else this.#access(kind, source, access, gva, sizeBytes);
      if (this.#exception !== undefined) break;
    }
    if (!speculative) return;
    for (let i = before; i < this.candidates.length; i++) {
      this.candidates[i] = { ...this.candidates[i]!, speculative };
    }
  }

  /** Adds an access: a candidate for each of its pages, or for the table entry that fails. */
  #access(
    kind: CandidateKind,
    source: string,
    access: GuestAccess,
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
    access: GuestAccess,
    gva: bigint,
    sizeBytes: number,
  ): void {
    const result = this.#translate(gva);
    const walk = result.steps;
    const entry = walk.find((step) => this.#isBadEntry(step, result, access));
    const refused = this.#refusal(result, kind, access);
    if (entry) {
      const state = this.#probe(entry.entryGpa, true)!.text;
      // An access that is refused is a page fault: the bit is set only where page walks write.
      const speculative = result.mapped && refused !== undefined ? "walk" : undefined;
      this.#addEntry(source, entry.level, entry.entryGpa, gva, "write", state, walk, speculative);
      if (!speculative) return;
    }
    if (!result.mapped && result.reason === "unreadable") {
      const state = this.#probe(result.entryGpa, false)?.text ?? "no memory slot";
      const { failedLevel, entryGpa } = result;
      return this.#addEntry(source, failedLevel, entryGpa, gva, "read", state, walk);
    }
    const common = { kind, source, access, gva, sizeBytes, walk };
    if (!result.mapped || refused !== undefined) {
      this.candidates.push({ ...common, bad: false, state: `not mapped by the guest: ${refused}` });
      this.#exception ??= result.mapped || result.reason !== "non-canonical"
        ? X86_VECTOR.PF
        : X86_VECTOR.GP;
      return;
    }
    const state = this.#probe(result.gpa, access === "write");
    const rom = this.#memory.slotAt(result.gpa)?.kind === "rom";
    this.candidates.push({
      ...common,
      gpa: result.gpa,
      bad: state !== undefined && !state.usable,
      state: state === undefined
        ? "no memory slot (MMIO)"
        : rom && access === "write"
        ? "read-only slot (MMIO)"
        : state.text,
    });
  }

  /**
   * Whether the processor has to set a bit in a table entry that cannot be written:
   * accessed on first use, dirty on the first write through the last entry. With EPT,
   * it counts as a write even where the entry turns out not to be present.
   */
  #isBadEntry(step: WalkStep, result: WalkResult, access: GuestAccess): boolean {
    // PAE's PDPT entries have no accessed bit.
    if (step.level === "PDPT" && !(this.#cpu.sregs.efer & EFER.LMA)) return false;
    const isLast = result.mapped && step === result.steps.at(-1);
    const missing = isLast && access === "write" ? ACCESSED | DIRTY : ACCESSED;
    if ((step.entry & missing) === missing) return false;
    return this.#probe(step.entryGpa, true)?.usable === false;
  }

  /** Why the guest's page tables do not permit an access. */
  #refusal(result: WalkResult, kind: CandidateKind, access: GuestAccess): string | undefined {
    if (!result.mapped) {
      return result.reason === "non-canonical"
        ? result.reason
        : `${result.reason} at the ${result.failedLevel}`;
    }
    const { sregs } = this.#cpu;
    const isUser = sregs.ss.dpl === 3 && kind !== "descriptor";
    if (isUser && !result.user) return "supervisor page";
    if (access === "fetch" && result.nx) return "no-execute page";
    const protects = isUser || (sregs.cr0 & CR0.WP) !== 0n;
    return access === "write" && !result.writable && protects ? "read-only page" : undefined;
  }

  #addEntry(
    source: string,
    level: string,
    gpa: bigint,
    gva: bigint,
    access: GuestAccess,
    state: string,
    walk: readonly WalkStep[],
    speculative?: "walk",
  ): void {
    this.candidates.push({
      kind: "table",
      source: `page table entry (${level}) of the ${source} at ${hex(gva)}`,
      access,
      gpa,
      sizeBytes: 8,
      bad: this.#memory.slotAt(gpa) !== undefined,
      state,
      walk,
      ...(speculative ? { speculative } : {}),
    });
  }

  /**
   * Adds the table entries in pages that cannot be written, which is well unless page walks
   * count as writes (AMD APM volume 2, 15.25; SDM volume 3C, 28.3.5).
   */
  #addUnwritableTables(): void {
    const known = new Set<bigint>();
    for (const { source, gva, walk } of [...this.candidates]) {
      for (const { level, entryGpa } of walk) {
        const state = known.has(entryGpa) ? undefined : this.#probe(entryGpa, true);
        known.add(entryGpa);
        if (!state || state.usable || gva === undefined) continue;
        this.#addEntry(source, level, entryGpa, gva, "write", state.text, walk, "walk");
      }
    }
  }

  /**
   * Adds the bytes behind an undefined opcode at the end of a page: processors differ in whether
   * it has a ModRM byte (SDM volume 2B, UD).
   */
  #addMoreBytes(): void {
    if (!this.#more) return;
    const first = this.candidates.length;
    this.#access("fetch", "instruction fetch", "fetch", this.#more.gva, this.#more.sizeBytes);
    for (let i = first; i < this.candidates.length; i++) {
      this.candidates[i] = { ...this.candidates[i]!, speculative: "length" };
    }
  }

  #translate(gva: bigint): WalkResult {
    const page = pageOf(gva);
    let result = this.#walks.get(page);
    if (!result) {
      result = translate(this.#cpu.sregs, this.#memory, page);
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

  #readVirtual(gva: bigint, sizeBytes: number): Uint8Array<ArrayBuffer> {
    return readLinear(this.#cpu.sregs, this.#memory, gva, sizeBytes, (at) => this.#translate(at));
  }

  /** Reads an integer of up to 8 bytes. */
  readonly #read: ReadLinear = (gva, sizeBytes) => {
    const bytes = this.#readVirtual(gva, sizeBytes);
    if (bytes.length < sizeBytes) return undefined;
    const word = new Uint8Array(8);
    word.set(bytes);
    return new DataView(word.buffer).getBigUint64(0, true);
  };
}

/** The vector that is queued for delivery. */
function queuedVector(events: PendingEvents | undefined): number | undefined {
  if (!events) return undefined;
  const { exception, interrupt, nmi } = events;
  if (exception.injected || exception.pending) return exception.nr;
  if (nmi?.injected) return NMI_VECTOR;
  return interrupt.injected ? interrupt.nr : undefined;
}

/** Whether an instruction raises its software interrupt: INTO does on overflow. */
function isRaised(instruction: DecodedInstruction | undefined, { rflags }: Registers): boolean {
  if (instruction?.vector === undefined) return false;
  return instruction.mnemonic !== "Into" || (rflags & RFLAGS.OF) !== 0n;
}
