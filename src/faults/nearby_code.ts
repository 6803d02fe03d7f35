/**
 * Instructions before RIP. Code can be decoded from any byte, so several instructions may end
 * at the same place: the one counts at which decoding from further back arrives most often.
 *
 * @module
 */

import {
  bitnessOf,
  type DecodedInstruction,
  type InstructionDecoder,
  linearRip,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";
import { type ProbedMemory, readLinear } from "./linear_memory.ts";
import type { CpuState } from "./locate.ts";

/** How far back decoding starts, to find out where instructions begin. */
const SWEEP_BYTES = 64;

/** Decodes a vCPU's code, each instruction once. */
export class NearbyCode {
  readonly #cpu: CpuState;
  readonly #memory: ProbedMemory;
  readonly #decoder: InstructionDecoder;
  readonly #decoded = new Map<bigint, DecodedInstruction | undefined>();

  constructor(cpu: CpuState, memory: ProbedMemory, decoder: InstructionDecoder) {
    this.#cpu = cpu;
    this.#memory = memory;
    this.#decoder = decoder;
  }

  /** The instruction at an offset in CS. */
  decode(rip: bigint): DecodedInstruction | undefined {
    if (!this.#decoded.has(rip)) {
      const { regs, sregs } = this.#cpu;
      const gva = linearRip({ ...regs, rip }, sregs);
      const code = readLinear(sregs, this.#memory, gva, MAX_INSTRUCTION_BYTES);
      this.#decoded.set(rip, this.#decoder.decode(code, bitnessOf(sregs), { rip }));
    }
    return this.#decoded.get(rip);
  }

  /**
   * Looks for an instruction that ends at an offset in CS.
   *
   * @param pick what the search is for, of an instruction at `rip` that has it
   */
  endingAt<T>(
    end: bigint,
    pick: (instruction: DecodedInstruction, rip: bigint) => T | undefined,
  ): T | undefined {
    const found: { rip: bigint; picked: T }[] = [];
    for (let length = 1n; length <= MAX_INSTRUCTION_BYTES && length <= end; length++) {
      const rip = end - length;
      const instruction = this.decode(rip);
      if (instruction?.lengthBytes !== Number(length)) continue;
      const picked = pick(instruction, rip);
      if (picked !== undefined) found.push({ rip, picked });
    }
    if (found.length < 2) return found[0]?.picked;
    const arrivals = this.#arrivals(end);
    const score = (rip: bigint): number => arrivals.get(rip) ?? 0;
    // The longest of equals: a shorter one is its tail.
    return found.reduce((best, next) => score(next.rip) >= score(best.rip) ? next : best).picked;
  }

  /** How often decoding from further back arrives at each RIP before `end`. */
  #arrivals(end: bigint): Map<bigint, number> {
    const arrivals = new Map<bigint, number>();
    const first = end > SWEEP_BYTES ? end - BigInt(SWEEP_BYTES) : 0n;
    for (let origin = first; origin < end; origin++) {
      for (let rip = origin; rip < end;) {
        if (rip !== origin) arrivals.set(rip, (arrivals.get(rip) ?? 0) + 1);
        const length = this.decode(rip)?.lengthBytes;
        if (length === undefined) break;
        rip += BigInt(length);
      }
    }
    return arrivals;
  }
}
