/**
 * The memory that an instruction accesses, in the processor's order: reads before
 * writes, implicit operands included, each at the address that the registers give it.
 * The decoder says what the operands are; what depends on register values is here.
 *
 * @module
 */

import { CR4 } from "./control_registers.ts";
import { bitnessOf, type DecodedInstruction, type MemoryReference } from "./instruction.ts";
import {
  type ExtendedState,
  maskRegister,
  vectorRegister,
  XSAVE_HEADER_END,
  xsaveBytes,
} from "./extended_state.ts";
import { registerValue, segmentRegister } from "./register_values.ts";
import type { Registers, SystemRegisters } from "./registers.ts";

/** The registers that addresses depend on. */
export interface RegisterState {
  /** The general registers. */
  readonly regs: Registers;
  /** The system registers. */
  readonly sregs: SystemRegisters;
  /** Vector and mask registers; without them, gathers have no address and masks none off. */
  readonly extended?: ExtendedState | undefined;
}

/** One access to linear memory. */
export interface MemoryAccess {
  /** What makes it: `operand`, `IDT entry`. */
  readonly source: string;
  readonly kind: "operand" | "descriptor";
  /** A read-modify-write counts as a write: the processor checks write permission first. */
  readonly access: "read" | "write";
  /** The linear address. */
  readonly gva: bigint;
  readonly sizeBytes: number;
  /** Why the processor raises an exception instead of making the access. */
  readonly refused?: string;
}

/** Reads an integer of 8 bytes or fewer by linear address. @returns `undefined` where it cannot */
export type ReadLinear = (gva: bigint, sizeBytes: number) => bigint | undefined;

/** A contiguous part of a vector in memory. */
interface Run {
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * The operands that an instruction accesses.
 *
 * @param read reads guest memory: XRSTOR's area says which format it has
 */
export function operandAccesses(
  instruction: DecodedInstruction,
  state: RegisterState,
  read: ReadLinear,
): MemoryAccess[] {
  const { mnemonic, references } = instruction;
  if (instruction.repeats && counter(instruction, state.regs) === 0n) return [];
  const accesses = references.flatMap((reference) => {
    const accessesOf = SPECIAL[mnemonic] ?? (reference.index.includes("MM") ? gathered : masked);
    return accessesOf(instruction, reference, state, read);
  });
  // ENTER alternates: its operands are in order already.
  if (mnemonic === "Enter") return [...accesses, ...newStackTop(instruction, state)];
  const isWrite = ({ access }: MemoryAccess): number => access === "write" ? 1 : 0;
  return accesses.sort((a, b) => isWrite(a) - isWrite(b));
}

/** How a reference turns into accesses. */
type Rule = (
  instruction: DecodedInstruction,
  reference: MemoryReference,
  state: RegisterState,
  read: ReadLinear,
) => MemoryAccess[];

/** A bit offset in a register moves the address, both ways. */
const bitString: Rule = (instruction, reference, state) => {
  const bit = instruction.registers[1];
  if (bit === undefined) return masked(instruction, reference, state, NO_MEMORY);
  const bits = reference.sizeBytes * 8;
  const offset = BigInt.asIntN(bits, registerValue(bit, state.regs) ?? 0n);
  const step = (offset >> BigInt(Math.log2(bits))) * BigInt(reference.sizeBytes);
  return at(reference, state, step, reference.sizeBytes);
};

/** As many bytes as the state components that are asked for and enabled take. */
const xsave: Rule = ({ mnemonic }, reference, state, read) => {
  const { rax, rdx } = state.regs;
  const requested = BigInt.asUintN(32, rax) | BigInt.asUintN(32, rdx) << 32n;
  const [base] = at({ ...reference, access: "read" }, state, 0n, 1);
  // XCOMP_BV bit 63: the area is compacted.
  const isCompacted = () => ((base && read(base.gva + 520n, 8) || 0n) >> 63n) === 1n;
  const compacted = /^Xsave[cs]/.test(mnemonic) || (mnemonic.startsWith("Xrstor") && isCompacted());
  // Without OSXSAVE the guest should get #UD; where it does not, the host's XCR0 counts.
  const enabled = state.sregs.cr4 & CR4.OSXSAVE ? state.extended?.xcr0 ?? 0n : ~0n;
  const sizeBytes = state.extended
    ? xsaveBytes(state.extended.components, enabled & requested, compacted)
    : XSAVE_HEADER_END;
  const access = mnemonic.startsWith("Xrstor") ? "read" : "write";
  return at({ ...reference, access }, state, 0n, sizeBytes);
};

/** The elements that the top bits of a vector register select. */
const maskedByVector: Rule = ({ registers }, reference, state) => {
  const mask = registers[1];
  const runs = mask === undefined || !state.extended
    ? [whole(reference)]
    : runsOf(reference, vectorMask(state.extended, mask, reference.elementBytes));
  return runs.flatMap((run) => at(reference, state, BigInt(run.offset), run.sizeBytes));
};

/** The whole operand, or the elements of it that an AVX-512 mask selects. */
const masked: Rule = (instruction, reference, state) => {
  const { opmask, mnemonic } = instruction;
  if (opmask === undefined || !state.extended) return at(reference, state, 0n, reference.sizeBytes);
  let mask = maskRegister(state.extended, opmask);
  if (instruction.broadcasts || /^Vp?broadcast/.test(mnemonic)) mask = mask === 0n ? 0n : ~0n;
  else if (/^Vp?(compress|expand)/.test(mnemonic)) {
    const lanes = reference.sizeBytes / reference.elementBytes;
    mask = (1n << BigInt(bitCount(BigInt.asUintN(lanes, mask)))) - 1n;
  }
  return runsOf(reference, bitMask(mask))
    .flatMap((run) => at(reference, state, BigInt(run.offset), run.sizeBytes));
};

/** One access for each element of a gather or scatter that the mask selects. */
const gathered: Rule = (instruction, reference, state) => {
  const { extended } = state;
  const { registers, opmask } = instruction;
  if (!extended) return [];
  const indices = vectorRegister(extended, reference.index);
  const data = registers.find((name) => name !== undefined);
  const selector = registers[2];
  const selected = opmask !== undefined
    ? bitMask(maskRegister(extended, opmask))
    : selector !== undefined
    ? vectorMask(extended, selector, reference.elementBytes)
    : undefined;
  if (!indices || !data || !selected) return [];
  const { indexBytes } = instruction;
  const lanes = Math.min(
    indices.length / indexBytes,
    vectorRegister(extended, data)!.length / reference.elementBytes,
  );
  const view = new DataView(indices.buffer, indices.byteOffset);
  const scaled = { ...reference, index: "None" };
  return Array.from({ length: lanes }, (_, lane) => lane).filter(selected).flatMap((lane) => {
    const index = indexBytes === 4
      ? BigInt(view.getInt32(4 * lane, true))
      : view.getBigInt64(8 * lane, true);
    return at(scaled, state, index * BigInt(reference.scale), reference.elementBytes);
  });
};

const cacheLine: Rule = (_, reference, state) => at(reference, state, 0n, 64, ~63n);

const SPECIAL: Readonly<Record<string, Rule>> = {
  Bt: bitString,
  Btc: bitString,
  Btr: bitString,
  Bts: bitString,
  Clzero: cacheLine,
  Vmaskmovpd: maskedByVector,
  Vmaskmovps: maskedByVector,
  Vpmaskmovd: maskedByVector,
  Vpmaskmovq: maskedByVector,
  Xrstor: xsave,
  Xrstor64: xsave,
  Xrstors: xsave,
  Xrstors64: xsave,
  Xsave: xsave,
  Xsave64: xsave,
  Xsavec: xsave,
  Xsavec64: xsave,
  Xsaveopt: xsave,
  Xsaveopt64: xsave,
  Xsaves: xsave,
  Xsaves64: xsave,
};

const NO_MEMORY: ReadLinear = () => undefined;

/** ENTER checks that it could write at the stack pointer that it leaves (SDM volume 2, ENTER). */
function newStackTop(instruction: DecodedInstruction, state: RegisterState): MemoryAccess[] {
  const first = instruction.references[0];
  if (!first) return [];
  const displacement = BigInt(instruction.stackPointerIncrement);
  return at({ ...first, access: "write", displacement }, state, 0n, 1);
}

/** The REP counter: CX, ECX or RCX by address size. */
function counter({ references }: DecodedInstruction, regs: Registers): bigint {
  return BigInt.asUintN(references[0]?.addressBits ?? 64, regs.rcx);
}

/** An access at a reference's address, `delta` bytes on. */
function at(
  reference: MemoryReference,
  state: RegisterState,
  delta: bigint,
  sizeBytes: number,
  alignment = -1n,
): MemoryAccess[] {
  const { regs, sregs } = state;
  const { base, index, scale, segment } = reference;
  const bitness = bitnessOf(sregs);
  let { addressBits, displacement } = reference;
  if (reference.isStack) {
    displacement = BigInt.asIntN(addressBits, displacement);
    addressBits = stackBits(state);
  }
  const baseValue = registerValue(reference.isStack ? wideName(base) : base, regs);
  const indexValue = registerValue(index, regs);
  if (baseValue === undefined || indexValue === undefined) return [];
  const sum = baseValue + indexValue * BigInt(scale) + displacement + delta;
  const offset = BigInt.asUintN(addressBits, sum & alignment);
  const access = reference.access === "read" ? "read" : "write";
  const found = { source: "operand", kind: "operand", access, sizeBytes } as const;
  const descriptor = segmentRegister(segment, sregs);
  if (bitness === 64) {
    const segmentBase = segment === "FS" || segment === "GS" ? descriptor!.base : 0n;
    return [{ ...found, gva: BigInt.asUintN(64, segmentBase + offset) }];
  }
  const gva = BigInt.asUintN(32, (descriptor?.base ?? 0n) + offset);
  if (!descriptor || isWithin(descriptor, Number(offset), sizeBytes)) return [{ ...found, gva }];
  return [{ ...found, gva, refused: `beyond the limit of ${segment}` }];
}

/** The width of the stack pointer (SDM volume 1, 6.2.3). */
export function stackBits({ sregs }: Pick<RegisterState, "sregs">): 16 | 32 | 64 {
  if (bitnessOf(sregs) === 64) return 64;
  return sregs.ss.db ? 32 : 16;
}

function wideName(register: string): string {
  return register === "None" ? register : `R${register.slice(-2)}`;
}

/** Whether a segment's limit permits an access (SDM volume 3A, 5.3). */
function isWithin(
  { limit, type, s, db }: SystemRegisters["ds"],
  offset: number,
  sizeBytes: number,
): boolean {
  const expandsDown = s === 1 && (type & 0xc) === 4;
  if (!expandsDown) return limit === 0xffff_ffff || offset + sizeBytes - 1 <= limit;
  return offset > limit && offset + sizeBytes - 1 <= (db ? 0xffff_ffff : 0xffff);
}

function whole({ sizeBytes }: MemoryReference): Run {
  return { offset: 0, sizeBytes };
}

/** The runs of elements that a mask selects. */
function runsOf(
  { sizeBytes, elementBytes }: MemoryReference,
  isSelected: (lane: number) => boolean,
): Run[] {
  const runs: Run[] = [];
  for (let offset = 0; offset < sizeBytes; offset += elementBytes) {
    if (!isSelected(offset / elementBytes)) continue;
    const last = runs.at(-1);
    if (last && last.offset + last.sizeBytes === offset) {
      runs[runs.length - 1] = { ...last, sizeBytes: last.sizeBytes + elementBytes };
    } else runs.push({ offset, sizeBytes: elementBytes });
  }
  return runs;
}

function bitMask(mask: bigint): (lane: number) => boolean {
  return (lane) => (mask >> BigInt(lane) & 1n) === 1n;
}

/** The mask that the top bit of each element makes. */
function vectorMask(
  extended: ExtendedState,
  name: string,
  elementBytes: number,
): (lane: number) => boolean {
  const bytes = vectorRegister(extended, name);
  return (lane) => ((bytes?.[(lane + 1) * elementBytes - 1] ?? 0) & 0x80) !== 0;
}

function bitCount(value: bigint): number {
  let count = 0;
  for (let rest = value; rest !== 0n; rest &= rest - 1n) count++;
  return count;
}
