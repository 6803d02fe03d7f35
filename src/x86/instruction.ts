/**
 * Instructions: what one says and which memory it accesses, by iced-x86.
 *
 * iced-x86 takes tens of milliseconds to load, so {@linkcode decoder} loads it on first need.
 *
 * @module
 */

import type { Regs, Sregs } from "../kvm/vcpu.ts";
import { CR0, EFER } from "./control_registers.ts";

/** Operand and address size of code. */
export type Bitness = 16 | 32 | 64;

/** What an instruction does to memory. */
export type OperandAccess = "read" | "write" | "read-write";

/** A memory access of an instruction, at the address that the registers give it. */
export interface MemoryOperand {
  /** The linear address. */
  readonly gva: bigint;
  /** Bytes; 1 where the instruction does not say. */
  readonly sizeBytes: number;
  readonly access: OperandAccess;
}

/** A decoded instruction. */
export interface DecodedInstruction {
  /** In Intel syntax: `mov al,[rbx+8]`. */
  readonly text: string;
  readonly lengthBytes: number;
  readonly operands: readonly MemoryOperand[];
  /** It accesses memory in one locked step: a `lock` prefix, or an exchange. */
  readonly locked: boolean;
  /** The vector of a software interrupt: `int 0x40`. */
  readonly vector?: number;
  /** The selector that a far jump or call, or a move to a segment register, loads. */
  readonly selector?: number;
}

/** Longest instruction (SDM volume 2, 2.3.11). */
export const MAX_INSTRUCTION_BYTES = 15;

type Iced = typeof import("./iced.ts");

/** A loaded decoder. */
export interface InstructionDecoder {
  /**
   * Decodes the instruction at the start of `code`.
   *
   * @returns `undefined` where the bytes are too few or no instruction
   */
  decode(
    code: Uint8Array,
    bitness: Bitness,
    regs: Regs,
    sregs: Sregs,
  ): DecodedInstruction | undefined;
}

let loaded: InstructionDecoder | undefined;

// Node.js's modules are reached through this global: an import of one would cost every start.
declare const process: { getBuiltinModule(name: "node:module"): typeof import("node:module") };

/**
 * The decoder. It takes tens of milliseconds the first time, when the package is loaded.
 *
 * @example
 * ```ts
 * import { decoder } from "./instruction.ts";
 * console.log(typeof decoder().decode); // "function"
 * ```
 */
export function decoder(): InstructionDecoder {
  if (loaded) return loaded;
  const { createRequire } = process.getBuiltinModule("node:module");
  return loaded = new IcedDecoder(createRequire(import.meta.url)("iced-x86"));
}

/**
 * Loads the decoder with the modules of its importer, for programs that are not files: from
 * an address on the net, {@linkcode decoder} could not find the package.
 */
export async function loadDecoder(): Promise<void> {
  loaded ??= new IcedDecoder(await import("./iced.ts"));
}

/** Whether the processor runs 16-, 32- or 64-bit code now (SDM volume 3A, 5.2.1 and 3.4.5). */
export function bitnessOf(sregs: Sregs): Bitness {
  if (sregs.efer & EFER.LMA && sregs.cs.l) return 64;
  return sregs.cr0 & CR0.PE && sregs.cs.db ? 32 : 16;
}

/** The linear address of the next instruction. */
export function linearRip(regs: Regs, sregs: Sregs): bigint {
  const linear = sregs.cs.base + regs.rip;
  return bitnessOf(sregs) === 64 ? regs.rip : BigInt.asUintN(32, linear);
}

class IcedDecoder implements InstructionDecoder {
  readonly #iced: Iced;
  readonly #factory: import("iced-x86").InstructionInfoFactory;
  readonly #formatter: import("iced-x86").Formatter;

  constructor(iced: Iced) {
    this.#iced = iced;
    this.#factory = new iced.InstructionInfoFactory();
    const formatter = new iced.Formatter(iced.FormatterSyntax.Nasm);
    formatter.hexPrefix = "0x";
    formatter.hexSuffix = "";
    formatter.spaceAfterOperandSeparator = true;
    formatter.digitSeparator = "";
    this.#formatter = formatter;
  }

  decode(
    code: Uint8Array,
    bitness: Bitness,
    regs: Regs,
    sregs: Sregs,
  ): DecodedInstruction | undefined {
    const iced = this.#iced;
    const reader = new iced.Decoder(bitness, code, iced.DecoderOptions.None);
    reader.ip = regs.rip;
    const instruction = reader.decode();
    try {
      if (instruction.isInvalid) return undefined;
      const info = this.#factory.info(instruction);
      const elementBytes = iced.MemorySizeExt.size(instruction.memorySize);
      const operands = info.usedMemory().flatMap((memory) =>
        this.#operand(memory, elementBytes, bitness, regs, sregs)
      );
      info.free();
      const selector = this.#selector(instruction, regs);
      const isInt = instruction.mnemonic === iced.Mnemonic.Int;
      return {
        text: this.#formatter.format(instruction).toLowerCase(),
        lengthBytes: instruction.length,
        operands,
        locked: operands.length > 0 &&
          (instruction.hasLockPrefix || instruction.mnemonic === iced.Mnemonic.Xchg),
        ...(isInt ? { vector: instruction.immediate8 } : {}),
        ...(selector === undefined ? {} : { selector }),
      };
    } finally {
      instruction.free();
      reader.free();
    }
  }

  #operand(
    memory: import("iced-x86").UsedMemory,
    elementBytes: number,
    bitness: Bitness,
    regs: Regs,
    sregs: Sregs,
  ): MemoryOperand[] {
    const { MemorySizeExt, OpAccess, Register, RegisterExt } = this.#iced;
    const { base, index, scale, displacement, segment, access } = memory;
    const sizeBytes = MemorySizeExt.size(memory.memorySize) || elementBytes || 1;
    memory.free();
    const baseValue = registerValue(Register[base], regs);
    const indexValue = registerValue(Register[index], regs);
    // An index in a vector register (a gather) means many addresses: none can be named.
    if (baseValue === undefined || indexValue === undefined) return [];
    const widest = [base, index].find((register) => register !== Register.None);
    const addressBits = widest === undefined ? bitness : RegisterExt.size(widest) * 8;
    const offset = BigInt.asUintN(
      addressBits,
      baseValue + indexValue * BigInt(scale) + displacement,
    );
    const linear = segmentBase(Register[segment], bitness, sregs) + offset;
    const kind = accessKind(OpAccess[access]);
    if (kind === undefined) return [];
    const gva = BigInt.asUintN(bitness === 64 ? 64 : 32, linear);
    return [{ gva, sizeBytes, access: kind }];
  }

  /** What a far branch or a move to a segment register is about to load. */
  #selector(instruction: import("iced-x86").Instruction, regs: Regs): number | undefined {
    const { OpKind, Register, RegisterExt } = this.#iced;
    if (instruction.opCount === 0) return undefined;
    const first = instruction.op0Kind;
    if (first === OpKind.FarBranch16 || first === OpKind.FarBranch32) {
      return instruction.farBranchSelector;
    }
    const loadsSegment = first === OpKind.Register &&
      RegisterExt.isSegmentRegister(instruction.op0Register) && instruction.opCount === 2 &&
      instruction.op1Kind === OpKind.Register;
    if (!loadsSegment) return undefined;
    const value = registerValue(Register[instruction.op1Register], regs);
    return value === undefined ? undefined : Number(value & 0xffffn);
  }
}

function accessKind(name: string | undefined): OperandAccess | undefined {
  switch (name) {
    case "Read":
    case "CondRead":
      return "read";
    case "Write":
    case "CondWrite":
      return "write";
    case "ReadWrite":
    case "ReadCondWrite":
      return "read-write";
    default:
      return undefined; // an address that is computed and not accessed
  }
}

const WIDE: readonly (keyof Regs)[] = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];

/** A general register's value by its name in any width; 0 for no register. */
function registerValue(name: string | undefined, regs: Regs): bigint | undefined {
  if (name === undefined || name === "None") return 0n;
  const extended = /^R(\d+)([DW]?)$/.exec(name);
  if (extended) {
    const value = regs[`r${extended[1]}` as keyof Regs];
    const bits = extended[2] === "D" ? 32 : extended[2] === "W" ? 16 : 64;
    return value === undefined ? undefined : BigInt.asUintN(bits, value);
  }
  const wide = WIDE.find((register) => register.slice(1) === name.slice(-2).toLowerCase());
  if (wide === undefined) return undefined;
  const bits = name.startsWith("R") ? 64 : name.startsWith("E") ? 32 : 16;
  return BigInt.asUintN(bits, regs[wide]);
}

/** A segment's base: in 64-bit mode only FS and GS have one (SDM volume 3A, 3.4.4). */
function segmentBase(name: string | undefined, bitness: Bitness, sregs: Sregs): bigint {
  switch (name) {
    case "FS":
      return sregs.fs.base;
    case "GS":
      return sregs.gs.base;
    case "ES":
    case "CS":
    case "SS":
    case "DS":
      return bitness === 64 ? 0n : sregs[name.toLowerCase() as "es" | "cs" | "ss" | "ds"].base;
    default:
      return 0n;
  }
}
