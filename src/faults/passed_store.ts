/**
 * Finds the store that KVM has already stepped past: when its instruction emulator
 * exits with MMIO for a store, RIP is behind the instruction that faulted, and the
 * registers are as it left them.
 *
 * @module
 */

import type { Regs } from "../kvm/vcpu.ts";
import { pagePieces } from "../pages.ts";
import { type MemoryAccess, operandAccesses, stackBits } from "../x86/accesses.ts";
import { RFLAGS } from "../x86/control_registers.ts";
import {
  bitnessOf,
  type DecodedInstruction,
  type InstructionDecoder,
  linearRip,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";
import { registerValue, segmentRegister } from "../x86/register_values.ts";
import { type ProbedMemory, readLinear, translate } from "./linear_memory.ts";
import type { CpuState } from "./locate.ts";

/** A store and its instruction. */
export interface PassedStore {
  readonly instruction: DecodedInstruction;
  /** RIP at the instruction. */
  readonly rip: bigint;
  /** The linear address that it stores to. */
  readonly gva: bigint;
  /** The registers before the instruction, as far as they can be told. */
  readonly regs: Regs;
}

/** A store as KVM hands it out. */
export interface HandedStore {
  readonly gpa: bigint;
  readonly sizeBytes: number;
  /** The bytes, where they are known: they tell instructions apart. */
  readonly data?: Uint8Array | undefined;
}

/** How far back instructions are decoded, to find out where they begin. */
const SWEEP_BYTES = 64;

/**
 * Looks for the instruction that made a store.
 *
 * Code can be decoded from any byte, so several may end at RIP. The bytes stored rule
 * some out; of the others the one counts on which decoding from further back arrives
 * most often.
 *
 * @returns `undefined` if there is none: RIP is not behind a store
 */
export function findPassedStore(
  cpu: CpuState,
  memory: ProbedMemory,
  decoder: InstructionDecoder,
  store: HandedStore,
): PassedStore | undefined {
  return new StoreSearch(cpu, memory, decoder, store).find();
}

class StoreSearch {
  readonly #cpu: CpuState;
  readonly #memory: ProbedMemory;
  readonly #decoder: InstructionDecoder;
  readonly #store: HandedStore;

  constructor(
    cpu: CpuState,
    memory: ProbedMemory,
    decoder: InstructionDecoder,
    store: HandedStore,
  ) {
    this.#cpu = cpu;
    this.#memory = memory;
    this.#decoder = decoder;
    this.#store = store;
  }

  find(): PassedStore | undefined {
    const { rip } = this.#cpu.regs;
    return this.#behind(rip) ?? this.#repeated(rip) ?? this.#call();
  }

  /** The store that ends at RIP. */
  #behind(end: bigint): PassedStore | undefined {
    const found: PassedStore[] = [];
    for (let length = 1n; length <= MAX_INSTRUCTION_BYTES && length <= end; length++) {
      const instruction = this.#decode(end - length);
      if (instruction?.lengthBytes !== Number(length)) continue;
      const store = this.#storeOf(instruction, end - length);
      if (store) found.push(store);
    }
    if (found.length < 2) return found[0];
    const arrivals = this.#arrivals(end);
    const score = ({ rip }: PassedStore): number => arrivals.get(rip) ?? 0;
    // The longest of equals: a shorter one is its tail.
    return found.reduce((best, store) => score(store) >= score(best) ? store : best);
  }

  /** A string instruction whose REP has not come to its end: RIP stays at it. */
  #repeated(rip: bigint): PassedStore | undefined {
    const instruction = this.#decode(rip);
    return instruction?.repeats ? this.#storeOf(instruction, rip) : undefined;
  }

  /** A call has jumped; what it stored is where it ended. */
  #call(): PassedStore | undefined {
    const { data } = this.#store;
    if (!data || data.length < 2) return undefined;
    const end = integer(data);
    for (let length = 2n; length <= MAX_INSTRUCTION_BYTES && length <= end; length++) {
      const instruction = this.#decode(end - length);
      if (instruction?.mnemonic !== "Call" || instruction.lengthBytes !== Number(length)) continue;
      const store = this.#storeOf(instruction, end - length);
      if (store) return store;
    }
    return undefined;
  }

  /** How often decoding from further back arrives at each RIP before `end`. */
  #arrivals(end: bigint): Map<bigint, number> {
    const arrivals = new Map<bigint, number>();
    const first = end > SWEEP_BYTES ? end - BigInt(SWEEP_BYTES) : 0n;
    for (let origin = first; origin < end; origin++) {
      for (let rip = origin; rip < end;) {
        if (rip !== origin) arrivals.set(rip, (arrivals.get(rip) ?? 0) + 1);
        const length = this.#decode(rip)?.lengthBytes;
        if (length === undefined) break;
        rip += BigInt(length);
      }
    }
    return arrivals;
  }

  readonly #decoded = new Map<bigint, DecodedInstruction | undefined>();

  #decode(rip: bigint): DecodedInstruction | undefined {
    if (!this.#decoded.has(rip)) {
      const { regs, sregs } = this.#cpu;
      const gva = linearRip({ ...regs, rip }, sregs);
      const code = readLinear(sregs, this.#memory, gva, MAX_INSTRUCTION_BYTES);
      this.#decoded.set(rip, this.#decoder.decode(code, bitnessOf(sregs), { rip }));
    }
    return this.#decoded.get(rip);
  }

  /** The store of an instruction, if it is the one. */
  #storeOf(instruction: DecodedInstruction, rip: bigint): PassedStore | undefined {
    const regs = { ...before(instruction, this.#cpu), rip };
    const state = { ...this.#cpu, regs };
    for (const access of operandAccesses(instruction, state, () => undefined)) {
      if (access.access !== "write" || access.refused) continue;
      const offset = this.#offsetIn(access);
      if (offset === undefined || !this.#matches(instruction, state, access, offset)) continue;
      return { instruction, rip, gva: access.gva, regs };
    }
    return undefined;
  }

  /** Where in an access the GPA is: at its start, where it enters another page, or 8 bytes on. */
  #offsetIn({ gva, sizeBytes }: MemoryAccess): number | undefined {
    const { gpa, sizeBytes: stored } = this.#store;
    for (const piece of pagePieces(gva, sizeBytes)) {
      const result = translate(this.#cpu.sregs, this.#memory, piece.address);
      if (!result.mapped) continue;
      const into = Number(gpa - result.gpa);
      const fits = into + stored <= piece.sizeBytes;
      if (into >= 0 && into % FRAGMENT_BYTES === 0 && fits) return piece.offset + into;
    }
    return undefined;
  }

  /** Whether the bytes are those that the instruction stores, where both are known. */
  #matches(
    instruction: DecodedInstruction,
    state: CpuState,
    access: MemoryAccess,
    offset: number,
  ): boolean {
    const { data } = this.#store;
    const value = storedValue(instruction, state);
    if (!data || value === undefined) return true;
    const bits = access.sizeBytes * 8;
    const shifted = BigInt.asUintN(bits, value) >> BigInt(offset * 8);
    return BigInt.asUintN(data.length * 8, shifted) === integer(data);
  }
}

/** KVM hands wide stores out in parts of so many bytes. */
const FRAGMENT_BYTES = 8;

function integer(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => value << 8n | BigInt(byte), 0n);
}

/** The registers before an instruction that moves the stack pointer or string registers. */
function before(instruction: DecodedInstruction, { regs, sregs }: CpuState): Regs {
  const { mnemonic, stackPointerIncrement, references, repeats } = instruction;
  if (stackPointerIncrement !== 0) {
    const increment = BigInt(stackPointerIncrement);
    return { ...regs, rsp: moved(regs.rsp, -increment, stackBits({ sregs })) };
  }
  const string = /^(Movs|Stos|Ins)[bwdq]$/.exec(mnemonic)?.[1];
  const [reference] = references;
  if (!string || !reference) return regs;
  const forward = (regs.rflags & RFLAGS.DF) === 0n;
  const back = BigInt(forward ? -reference.sizeBytes : reference.sizeBytes);
  const bits = reference.addressBits;
  return {
    ...regs,
    rdi: moved(regs.rdi, back, bits),
    rsi: string === "Movs" ? moved(regs.rsi, back, bits) : regs.rsi,
    rcx: repeats ? moved(regs.rcx, 1n, bits) : regs.rcx,
  };
}

/** Adds to the low bits of a register. */
function moved(value: bigint, by: bigint, bits: number): bigint {
  const low = BigInt.asUintN(bits, value);
  return value - low + BigInt.asUintN(bits, low + by);
}

/** What an instruction stores, where registers and immediates tell. */
function storedValue(
  instruction: DecodedInstruction,
  { regs, sregs }: CpuState,
): bigint | undefined {
  const { mnemonic, registers, immediate, references } = instruction;
  const operand = (place: number): bigint | undefined => {
    const name = registers[place];
    if (name === undefined) return immediate;
    const segment = segmentRegister(name, sregs);
    return segment ? BigInt(segment.selector) : registerValue(name, regs);
  };
  if (mnemonic === "Mov") return operand(1);
  if (mnemonic === "Push") return references.length === 1 ? operand(0) : undefined;
  if (/^Stos[bwdq]$/.test(mnemonic)) return regs.rax;
  if (mnemonic === "Call") {
    return instruction.isFar ? undefined : regs.rip + BigInt(instruction.lengthBytes);
  }
  return undefined;
}
