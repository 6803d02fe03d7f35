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

/** A memory operand as the instruction encodes it; `accesses.ts` gives it an address. */
export interface MemoryReference {
  /** `DS`, or `None` where segments do not count. */
  readonly segment: string;
  /** Registers by name, `None` without one. */
  readonly base: string;
  readonly index: string;
  readonly scale: number;
  readonly displacement: bigint;
  /** Offsets wrap at this width. */
  readonly addressBits: Bitness;
  /** All bytes, or one element's where the index is a vector. */
  readonly sizeBytes: number;
  /** One element of a vector; else the same. */
  readonly elementBytes: number;
  readonly access: OperandAccess;
  /** Implicit, by the stack or frame pointer: SS decides the pointer's width. */
  readonly isStack: boolean;
}

/** A decoded instruction. */
export interface DecodedInstruction {
  /** In Intel syntax: `mov al,[rbx+8]`. */
  readonly text: string;
  /** The decoder's name for it, without operands: `Mov`. */
  readonly mnemonic: string;
  readonly lengthBytes: number;
  readonly bitness: Bitness;
  /** Its memory operands, implicit ones included. */
  readonly references: readonly MemoryReference[];
  /** The register operands by their place, `undefined` for operands of another kind. */
  readonly registers: readonly (string | undefined)[];
  /** The first immediate operand, sign-extended. */
  readonly immediate?: bigint;
  /** The AVX-512 mask register. */
  readonly opmask?: string;
  /** The memory operand is one element, broadcast to all. */
  readonly broadcasts: boolean;
  /** The width of one index of a gather or scatter. */
  readonly indexBytes: 4 | 8;
  /** It is a string instruction with a REP prefix. */
  readonly repeats: boolean;
  /** What it adds to the stack pointer, if anything. */
  readonly stackPointerIncrement: number;
  /** It accesses memory in one locked step: a `lock` prefix, or an exchange. */
  readonly locked: boolean;
  /** The vector of a software interrupt: `int 0x40`. */
  readonly vector?: number;
  /** A far branch, or a load of a far pointer. */
  readonly isFar: boolean;
  /** The selector in a far branch's immediate. */
  readonly farSelector?: number;
}

/** The longest instruction (SDM volume 2, 2.3.11). */
export const MAX_INSTRUCTION_BYTES = 15;

type Iced = typeof import("./iced.ts");

/** A loaded decoder. */
export interface InstructionDecoder {
  /**
   * Decodes the instruction at the start of `code`.
   *
   * @returns `undefined` if there are too few bytes, or they are no instruction
   */
  decode(
    code: Uint8Array,
    bitness: Bitness,
    regs: Pick<Regs, "rip">,
  ): DecodedInstruction | undefined;
  /** Whether `code` is the beginning of an instruction that needs more bytes. */
  isTruncated(code: Uint8Array, bitness: Bitness): boolean;
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

type Instruction = import("iced-x86").Instruction;

/** Prefixes before an opcode (SDM volume 2, 2.1.1); REX and vector prefixes are not among them. */
const LEGACY_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];
/** XOP, EVEX and VEX: the opcode follows several bytes later. */
const VECTOR_PREFIXES = [0x8f, 0x62, 0xc4, 0xc5];

/** The vectors of the software interrupts that have no operand. */
const INTERRUPTS: Readonly<Record<string, number>> = { Int1: 1, Int3: 3, Into: 4 };

const AT_RAX: Omit<MemoryReference, "addressBits"> = {
  segment: "DS",
  base: "RAX",
  index: "None",
  scale: 1,
  displacement: 0n,
  sizeBytes: 1,
  elementBytes: 1,
  access: "read",
  isStack: false,
};

/** Accesses at the address in RAX that the decoder does not list. */
const IMPLICIT: Readonly<Record<string, Partial<MemoryReference>>> = {
  Clzero: { access: "write", sizeBytes: 64, elementBytes: 64 },
  Monitor: {},
  Monitorx: {},
};

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
    formatter.branchLeadingZeros = false;
    this.#formatter = formatter;
  }

  decode(
    code: Uint8Array,
    bitness: Bitness,
    regs: Pick<Regs, "rip">,
  ): DecodedInstruction | undefined {
    const iced = this.#iced;
    const reader = new iced.Decoder(bitness, code, iced.DecoderOptions.None);
    reader.ip = regs.rip;
    const instruction = reader.decode();
    try {
      return instruction.isInvalid ? undefined : this.#describe(instruction, bitness);
    } finally {
      instruction.free();
      reader.free();
    }
  }

  isTruncated(code: Uint8Array, bitness: Bitness): boolean {
    if (this.#begin(code, bitness) !== "truncated") return false;
    // The package asks for a ModRM byte even if no instruction has this opcode: try them all.
    const opcode = code.findIndex((byte) => !LEGACY_PREFIXES.includes(byte));
    if (opcode < 0 || VECTOR_PREFIXES.includes(code[opcode]!)) return true;
    const longer = new Uint8Array(code.length + 1 + MAX_INSTRUCTION_BYTES);
    longer.set(code);
    for (let next = 0; next < 256; next++) {
      longer[code.length] = next;
      if (this.#begin(longer, bitness) === "whole") return true;
    }
    return false;
  }

  /** Decodes the bytes of one instruction. UD0 and UD1 are undefined, whatever follows. */
  #begin(code: Uint8Array, bitness: Bitness): "whole" | "truncated" | "invalid" {
    const { Decoder, DecoderError, DecoderOptions, Mnemonic } = this.#iced;
    const reader = new Decoder(bitness, code, DecoderOptions.None);
    const instruction = reader.decode();
    const { mnemonic, isInvalid } = instruction;
    const { lastError } = reader;
    instruction.free();
    reader.free();
    if (isInvalid) return lastError === DecoderError.NoMoreBytes ? "truncated" : "invalid";
    return mnemonic === Mnemonic.Ud0 || mnemonic === Mnemonic.Ud1 ? "invalid" : "whole";
  }

  #describe(instruction: Instruction, bitness: Bitness): DecodedInstruction {
    const { MemorySize, Mnemonic, OpKind, Register } = this.#iced;
    const mnemonic = Mnemonic[instruction.mnemonic]!;
    const references = this.#references(instruction, mnemonic, bitness);
    const kinds = Array.from({ length: instruction.opCount }, (_, i) => instruction.opKind(i));
    const farBranch = kinds[0] === OpKind.FarBranch16 || kinds[0] === OpKind.FarBranch32;
    const place = kinds.findIndex((kind) => /^Immediate/.test(OpKind[kind]!));
    const vector = mnemonic === "Int" ? instruction.immediate8 : INTERRUPTS[mnemonic];
    return {
      text: this.#formatter.format(instruction).toLowerCase(),
      mnemonic,
      lengthBytes: instruction.length,
      bitness,
      references,
      registers: kinds.map((kind, i) =>
        kind === OpKind.Register ? Register[instruction.opRegister(i)] : undefined
      ),
      ...(place < 0 ? {} : { immediate: BigInt.asIntN(64, instruction.immediate(place)) }),
      ...(instruction.hasOpMask ? { opmask: Register[instruction.opMask]! } : {}),
      broadcasts: instruction.isBroadcast,
      indexBytes: instruction.isVsib64 ? 8 : 4,
      repeats: instruction.isStringInstruction &&
        (instruction.hasRepPrefix || instruction.hasRepnePrefix),
      stackPointerIncrement: instruction.stackPointerIncrement,
      locked: references.length > 0 && (instruction.hasLockPrefix || mnemonic === "Xchg"),
      ...(vector === undefined ? {} : { vector }),
      isFar: farBranch || /^SegPtr/.test(MemorySize[instruction.memorySize]!),
      ...(farBranch ? { farSelector: instruction.farBranchSelector } : {}),
    };
  }

  #references(
    instruction: Instruction,
    mnemonic: string,
    bitness: Bitness,
  ): MemoryReference[] {
    const { MemorySizeExt, OpAccess, OpKind, Register, RegisterExt } = this.#iced;
    const elementBytes = MemorySizeExt.elementSize(instruction.memorySize) || 1;
    const wholeBytes = MemorySizeExt.size(instruction.memorySize) || 1;
    const explicit = Array.from({ length: instruction.opCount }, (_, i) => instruction.opKind(i))
      .filter((kind) => kind === OpKind.Memory).length;
    const info = this.#factory.info(instruction);
    const used = info.usedMemory();
    const references = used.flatMap((memory, i): MemoryReference[] => {
      const access = accessKind(OpAccess[memory.access]);
      const { base, index, scale, displacement, segment, memorySize } = memory;
      memory.free();
      if (access === undefined) return [];
      const widest = [base, index].find((r) =>
        r !== Register.None && !RegisterExt.isVectorRegister(r)
      );
      const addressBits = widest !== undefined && Register[widest] !== "AL"
        ? RegisterExt.size(widest) * 8
        : (instruction.memoryDisplSize || bitness / 8) * 8;
      return [{
        segment: Register[segment]!,
        base: Register[base]!,
        index: Register[index]!,
        scale,
        displacement,
        addressBits: addressBits as Bitness,
        sizeBytes: MemorySizeExt.size(memorySize) || wholeBytes,
        elementBytes: MemorySizeExt.elementSize(memorySize) || elementBytes,
        access,
        isStack: instruction.isStackInstruction && i >= explicit,
      }];
    });
    info.free();
    const implicit = IMPLICIT[mnemonic];
    if (implicit) references.push({ ...AT_RAX, ...implicit, addressBits: bitness });
    return references;
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
