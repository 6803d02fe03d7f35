/**
 * Finds the store that KVM has already stepped past: when its instruction emulator
 * exits with MMIO for a store, RIP is past the instruction that faulted, and the
 * registers are as it left them.
 *
 * @module
 */

import type { Regs } from "../kvm/vcpu.ts";
import { pagePieces } from "../pages.ts";
import { type MemoryAccess, operandAccesses, stackBits } from "../x86/accesses.ts";
import { RFLAGS } from "../x86/control_registers.ts";
import type { DecodedInstruction, InstructionDecoder } from "../x86/instruction.ts";
import { registerValue, segmentRegister } from "../x86/register_values.ts";
import { type ProbedMemory, translate } from "./linear_memory.ts";
import type { CpuState } from "./locate.ts";
import { NearbyCode } from "./nearby_code.ts";

/** A store and its instruction. */
export interface PassedStore {
  readonly instruction: DecodedInstruction;
  /** RIP at the instruction. */
  readonly rip: bigint;
  /** The linear address that it stores to. */
  readonly gva: bigint;
  /** The registers before the instruction, as far as they can be reconstructed. */
  readonly regs: Regs;
}

/** A store as KVM hands it out. */
export interface HandedStore {
  readonly gpa: bigint;
  readonly sizeBytes: number;
  /** The bytes, where they are known: they tell instructions apart. */
  readonly data?: Uint8Array | undefined;
}

/**
 * Looks for the instruction that made a store.
 *
 * Of several instructions that may end at RIP, the bytes stored rule some out.
 *
 * @returns `undefined` if there is none: RIP is not past a store
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
  readonly #code: NearbyCode;
  readonly #store: HandedStore;

  constructor(
    cpu: CpuState,
    memory: ProbedMemory,
    decoder: InstructionDecoder,
    store: HandedStore,
  ) {
    this.#cpu = cpu;
    this.#memory = memory;
    this.#code = new NearbyCode(cpu, memory, decoder);
    this.#store = store;
  }

  find(): PassedStore | undefined {
    const { rip } = this.#cpu.regs;
    const behind = this.#code.endingAt(rip, (instruction, at) => this.#storeOf(instruction, at));
    return behind ?? this.#repeated(rip) ?? this.#call();
  }

  /** A string instruction whose REP has not come to its end: RIP stays at it. */
  #repeated(rip: bigint): PassedStore | undefined {
    const instruction = this.#code.decode(rip);
    return instruction?.repeats ? this.#storeOf(instruction, rip) : undefined;
  }

  /** A call has jumped; what it stored is where it ended. */
  #call(): PassedStore | undefined {
    const { data } = this.#store;
    if (!data || data.length < 2) return undefined;
    return this.#code.endingAt(
      integer(data),
      (instruction, at) =>
        instruction.mnemonic === "Call" ? this.#storeOf(instruction, at) : undefined,
    );
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

/** KVM splits wide stores into parts of this size, in bytes. */
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
