/**
 * The descriptor tables that the processor reads on its own: for segment loads and
 * far branches, for the delivery of interrupts and exceptions, and for access to ports.
 * A table's limit counts: past it there is an exception and no access.
 * Source: SDM volume 3A, 3.4.2 to 3.5, 6.10 to 6.14, 8.2 to 8.7 and 21.1.4.
 *
 * @module
 */

import { type MemoryAccess, type ReadLinear, type RegisterState, stackBits } from "./accesses.ts";
import { X86_VECTOR } from "../../ffi/kvm_consts.ts";
import { CR0, EFER, RFLAGS } from "./control_registers.ts";
import { type DescriptorRights, type DescriptorUse, isLoadable } from "./descriptor_checks.ts";
import type { DecodedInstruction } from "./instruction.ts";
import { registerValue } from "./register_values.ts";
import type { SystemRegisters } from "./registers.ts";

/** Exceptions have the vectors below this. */
export const EXCEPTIONS = 32;

/** The vector of the non-maskable interrupt. */
const NMI = 2;

/** How interrupts are delivered and descriptors laid out. */
type Mode = "real" | "protected" | "long";

/** Bytes of an IDT entry. */
const GATE_BYTES = { real: 4, protected: 8, long: 16 } as const;

/** Instructions that take a selector, and the place of that operand. */
const SELECTOR_OPERAND: Readonly<Record<string, number>> = {
  Lar: 1,
  Lldt: 0,
  Lsl: 1,
  Ltr: 0,
  Verr: 0,
  Verw: 0,
};
/** Those that only look at the descriptor. */
const TESTS = ["Lar", "Lsl", "Verr", "Verw"];
const SEGMENTS = ["CS", "DS", "ES", "FS", "GS", "SS"];

/** Descriptor types (SDM volume 3A, tables 3-1 and 3-2). */
const TYPE = { accessed: 1, callGate16: 4, callGate: 0xc, taskGate: 5, conforming: 4 } as const;

/** This bit of a TSS's type: it has 32 bits or 64, and an I/O map. */
const TSS_32 = 8;
/** Where the TSS says where its I/O map begins. */
const IO_MAP_BASE = 0x66;

function modeOf({ sregs }: RegisterState): Mode {
  if (!(sregs.cr0 & CR0.PE)) return "real";
  return sregs.efer & EFER.LMA ? "long" : "protected";
}

/**
 * The descriptors that an instruction reads: after its operands are read, before any is
 * written.
 *
 * @param reads the operands that it reads
 */
export function* descriptorAccesses(
  instruction: DecodedInstruction,
  reads: readonly MemoryAccess[],
  state: RegisterState,
  read: ReadLinear,
): Generator<MemoryAccess> {
  if (modeOf(state) === "real" || state.regs.rflags & RFLAGS.VM) return;
  const { mnemonic } = instruction;
  const selector = selectorOf(instruction, reads, state, read);
  if (selector === undefined) return;
  const isSystem = mnemonic === "Ltr" || mnemonic === "Lldt";
  const descriptor = yield* descriptorAccess(selector, state, read, isSystem);
  if (!descriptor || mnemonic === "Lldt" || TESTS.includes(mnemonic)) return;
  const use = useOf(instruction);
  const isLoaded = isLoadable(descriptor, use, selector & 3, cplOf(state.sregs));
  // LTR makes the TSS busy.
  if (use === "task") {
    if (isLoaded) yield written(descriptor);
  } else if (descriptor.isSystem) yield* throughGate(descriptor, state, read);
  else if (isLoaded) yield* accessed(descriptor);
  if (isReturn(mnemonic)) yield* outerStack(instruction, selector, reads, state, read);
}

function isReturn(mnemonic: string): boolean {
  return mnemonic === "Retf" || mnemonic.startsWith("Iret");
}

/** A far return to an outer privilege level pops the stack pointer and SS, too. */
function* outerStack(
  { stackPointerIncrement }: DecodedInstruction,
  selector: number,
  reads: readonly MemoryAccess[],
  state: RegisterState,
  read: ReadLinear,
): Generator<MemoryAccess> {
  const first = reads[0];
  if (!first) return;
  let ss = reads[4]; // IRETQ always pops it
  if (!ss) {
    if ((selector & 3) <= cplOf(state.sregs)) return;
    const rsp = { ...first, gva: linear(first.gva + BigInt(stackPointerIncrement), state) };
    ss = { ...first, gva: linear(rsp.gva + BigInt(first.sizeBytes), state) };
    yield rsp;
    yield ss;
  }
  const ssSelector = read(ss.gva, 2);
  if (ssSelector === undefined) return;
  const descriptor = yield* descriptorAccess(Number(ssSelector), state, read, false);
  const outer = selector & 3;
  if (descriptor && isLoadable(descriptor, "stack", Number(ssSelector) & 3, outer)) {
    yield* accessed(descriptor);
  }
}

/** What an instruction loads a descriptor for. */
function useOf({ mnemonic, registers }: DecodedInstruction): DescriptorUse {
  if (mnemonic === "Ltr") return "task";
  if (isReturn(mnemonic)) return "return";
  if (mnemonic === "Mov" || mnemonic === "Pop") return registers[0] === "SS" ? "stack" : "data";
  if (mnemonic === "Lss") return "stack";
  return /^L[defg]s$/.test(mnemonic) ? "data" : "code";
}

/** The code segment behind a call gate. */
function* throughGate(
  { type, isPresent, gateSelector }: Descriptor,
  state: RegisterState,
  read: ReadLinear,
): Generator<MemoryAccess> {
  if (!isPresent || (type !== TYPE.callGate16 && type !== TYPE.callGate)) return;
  const code = yield* descriptorAccess(gateSelector, state, read, false);
  if (code && isLoadable(code, "gate", 0, cplOf(state.sregs))) yield* accessed(code);
}

/** The write that marks a segment accessed, if it is not yet. */
function* accessed(descriptor: Descriptor): Generator<MemoryAccess> {
  if (!(descriptor.type & TYPE.accessed)) yield written(descriptor);
}

/** The selector that an instruction loads or tests. */
function selectorOf(
  { mnemonic, registers, farSelector, isFar }: DecodedInstruction,
  reads: readonly MemoryAccess[],
  { regs }: RegisterState,
  read: ReadLinear,
): number | undefined {
  if (farSelector !== undefined) return farSelector;
  const readSelector = (access: MemoryAccess | undefined, offset = 0): number | undefined => {
    const value = access && read(access.gva + BigInt(offset), 2);
    return value === undefined ? undefined : Number(value);
  };
  const loadsSegment = SEGMENTS.includes(registers[0] ?? "");
  const place = SELECTOR_OPERAND[mnemonic] ?? (mnemonic === "Mov" && loadsSegment ? 1 : undefined);
  if (place !== undefined) {
    const name = registers[place];
    if (name === undefined) return readSelector(reads[0]);
    return Number(BigInt.asUintN(16, registerValue(name, regs) ?? 0n));
  }
  if (mnemonic === "Pop" && loadsSegment) return readSelector(reads[0]);
  if (isReturn(mnemonic)) return readSelector(reads[1]); // above RIP
  const [pointer] = reads;
  return isFar && pointer ? readSelector(pointer, pointer.sizeBytes - 2) : undefined;
}

/** A descriptor as it is in its table. */
interface Descriptor extends DescriptorRights {
  readonly gva: bigint;
  /** The selector in a gate. */
  readonly gateSelector: number;
  readonly source: string;
}

/** Reads the descriptor that a selector names. @returns `undefined` if there is none to read */
function* descriptorAccess(
  selector: number,
  state: RegisterState,
  read: ReadLinear,
  isWide: boolean,
): Generator<MemoryAccess, Descriptor | undefined> {
  const { sregs } = state;
  const inLdt = (selector & 4) !== 0;
  if ((selector & 0xfffc) === 0 || (inLdt && sregs.ldt.unusable)) return undefined;
  const { base, limit } = inLdt ? sregs.ldt : sregs.gdt;
  const offset = selector & ~7;
  const source = inLdt ? "LDT descriptor" : "GDT descriptor";
  const gva = linear(base + BigInt(offset), state);
  if (offset + 7 > limit) return undefined;
  yield descriptorRead(source, gva, 8);
  const bytes = read(gva, 8);
  if (bytes === undefined) return undefined;
  const type = Number(bytes >> 40n & 0xfn);
  const isSystem = (bytes >> 44n & 1n) === 0n;
  if (isSystem && modeOf(state) === "long" && (isWide || type === TYPE.callGate)) {
    if (offset + 15 > limit) return undefined;
    yield descriptorRead(source, gva + 8n, 8);
  }
  const dpl = Number(bytes >> 45n & 3n);
  const isPresent = (bytes >> 47n & 1n) !== 0n;
  const gateSelector = Number(bytes >> 16n & 0xffffn);
  return { gva, type, isSystem, isPresent, dpl, gateSelector, source };
}

/** What delivering an event reads and pushes. */
export function* deliveryAccesses(
  vector: number,
  isSoftware: boolean,
  state: RegisterState,
  read: ReadLinear,
): Generator<MemoryAccess> {
  const { sregs } = state;
  const mode = modeOf(state);
  const size = GATE_BYTES[mode];
  const offset = vector * size;
  if (offset + size - 1 > sregs.idt.limit) {
    const next = exceptionAt(vector, isSoftware);
    if (next !== undefined) yield* deliveryAccesses(next, false, state, read);
    return;
  }
  const gva = linear(sregs.idt.base + BigInt(offset), state);
  const gate = descriptorRead("IDT entry", gva, size);
  if (mode === "real") {
    yield* frame(3, 2, state);
    yield gate;
    return;
  }
  yield gate;
  const low = read(gva, 8);
  if (low === undefined || !(low >> 47n & 1n)) return;
  const type = Number(low >> 40n & 0x1fn);
  const gateDpl = Number(low >> 45n & 3n);
  if (isSoftware && gateDpl < cplOf(sregs)) return;
  const selector = Number(low >> 16n & 0xffffn);
  const descriptor = yield* descriptorAccess(selector, state, read, false);
  if (!descriptor || type === TYPE.taskGate || descriptor.isSystem) return;
  const isConforming = (descriptor.type & TYPE.conforming) !== 0;
  const changesStack = !isConforming && descriptor.dpl < cplOf(sregs);
  const interruptStack = mode === "long" ? Number(low >> 32n & 7n) : 0;
  const stack = yield* newStack(mode, changesStack, interruptStack, descriptor.dpl, state, read);
  if (stack === "fault") return;
  const words = mode === "long" || changesStack ? 5 : 3;
  const wordBytes = mode === "long" ? 8 : type & 8 ? 4 : 2;
  yield* frame(words, wordBytes, state, stack);
}

/** What an event raises whose IDT entry is beyond the limit; after #DF there is only a shutdown. */
function exceptionAt(vector: number, isSoftware: boolean): number | undefined {
  if (isSoftware || vector >= EXCEPTIONS) return X86_VECTOR.GP;
  return vector > X86_VECTOR.DF ? X86_VECTOR.DF : undefined;
}

/**
 * The reads of the IDT entries of the exceptions that an instruction may raise, where the
 * vector is not known, and what they lead to.
 */
export function* anyDeliveryAccesses(
  instruction: DecodedInstruction | undefined,
  state: RegisterState,
  read: ReadLinear,
): Generator<MemoryAccess> {
  const { base, limit } = state.sregs.idt;
  const size = GATE_BYTES[modeOf(state)];
  const entries = Math.min(EXCEPTIONS, Math.floor((limit + 1) / size));
  const vectors = Array.from({ length: entries }, (_, vector) => vector)
    .filter((vector) => !instruction || mayRaise(vector, instruction, state));
  const [first, last] = [vectors[0], vectors.at(-1)];
  if (first === undefined || last === undefined) return;
  const gva = linear(base + BigInt(first * size), state);
  yield descriptorRead("IDT entry", gva, (last - first + 1) * size);
  const known = new Set<string>();
  for (const vector of vectors) {
    for (const access of deliveryAccesses(vector, false, state, read)) {
      if (access.source === "IDT entry") continue;
      const key = `${access.gva} ${access.access}`;
      if (!known.has(key)) yield access;
      known.add(key);
    }
  }
}

/** Whether an instruction may raise an exception (SDM volume 3A, 6.15). */
function mayRaise(
  vector: number,
  { mnemonic }: DecodedInstruction,
  { regs, sregs }: RegisterState,
): boolean {
  switch (vector) {
    case X86_VECTOR.DE:
      return /^(Div|Idiv|Aam)$/.test(mnemonic);
    case X86_VECTOR.DB:
      return mnemonic === "Int1" || (regs.rflags & RFLAGS.TF) !== 0n;
    case X86_VECTOR.BR:
      return /^B(ou)?nd/.test(mnemonic);
    case X86_VECTOR.NM:
      return (sregs.cr0 & (CR0.EM | CR0.TS)) !== 0n;
    case NMI: // it is queued
    case X86_VECTOR.BP: // so are instructions with a vector of their own
    case X86_VECTOR.OF:
      return false;
    default:
      return true;
  }
}

/** Where the frame goes; reads the TSS if the stack changes. */
function* newStack(
  mode: Mode,
  changesStack: boolean,
  interruptStack: number,
  privilege: number,
  state: RegisterState,
  read: ReadLinear,
): Generator<MemoryAccess, bigint | "fault" | undefined> {
  if (!changesStack && interruptStack === 0) return undefined;
  const { tr } = state.sregs;
  const is16 = mode === "protected" && (tr.type & TSS_32) === 0;
  const [offset, sizeBytes] = mode === "long"
    ? [interruptStack > 0 ? 0x1c + 8 * interruptStack : 4 + 8 * privilege, 8]
    : is16
    ? [2 + 4 * privilege, 4]
    : [4 + 8 * privilege, 6];
  if (tr.unusable || offset + sizeBytes - 1 > tr.limit) return "fault";
  const gva = linear(tr.base + BigInt(offset), state);
  yield descriptorRead("TSS", gva, sizeBytes);
  const pointer = read(gva, is16 ? 2 : mode === "long" ? 8 : 4);
  if (pointer === undefined) return "fault";
  if (mode === "long") return pointer;
  const selector = read(gva + (is16 ? 2n : 4n), 2);
  const descriptor = yield* descriptorAccess(Number(selector ?? 0n), state, read, false);
  const bytes = descriptor && read(descriptor.gva, 8);
  if (bytes === undefined) return "fault";
  return linear(pointer + (bytes >> 16n & 0xff_ffffn | bytes >> 56n << 24n), state);
}

/** The pushes of an interrupt frame, without an error code. */
function* frame(
  words: number,
  wordBytes: number,
  state: RegisterState,
  top?: bigint,
): Generator<MemoryAccess> {
  const { regs, sregs } = state;
  const isLong = modeOf(state) === "long";
  const bits = stackBits(state);
  const old = isLong ? regs.rsp : BigInt.asUintN(bits, regs.rsp);
  // Long mode aligns the frame (SDM volume 3A, 6.14.2).
  const start = isLong ? (top ?? old) & ~0xfn : top ?? old;
  for (let word = 1; word <= words; word++) {
    const at = start - BigInt(word * wordBytes);
    const offset = top === undefined && !isLong ? sregs.ss.base + BigInt.asUintN(bits, at) : at;
    yield {
      source: "interrupt frame",
      kind: "descriptor",
      access: "write",
      gva: linear(offset, state),
      sizeBytes: wordBytes,
    };
  }
}

/** What a port access reads that IOPL does not permit: the TSS's I/O map (SDM volume 1, 19.5.2). */
export function* portAccesses(
  { mnemonic, immediate, repeats }: DecodedInstruction,
  state: RegisterState,
  read: ReadLinear,
): Generator<MemoryAccess> {
  const { regs, sregs } = state;
  if (!/^(In|Out|Ins[bwd]|Outs[bwd])$/.test(mnemonic) || modeOf(state) === "real") return;
  const iopl = Number((regs.rflags & RFLAGS.IOPL) >> 12n);
  const isVirtual = (regs.rflags & RFLAGS.VM) !== 0n;
  if ((cplOf(sregs) <= iopl && !isVirtual) || (repeats && regs.rcx === 0n)) return;
  const { base, limit, type, unusable } = sregs.tr;
  if (unusable || !(type & TSS_32) || IO_MAP_BASE + 1 > limit) return;
  const gva = linear(base + BigInt(IO_MAP_BASE), state);
  yield descriptorRead("TSS", gva, 2);
  const port = Number(immediate === undefined ? regs.rdx & 0xffffn : immediate & 0xffn);
  const offset = Number(read(gva, 2) ?? 0xffffn) + (port >> 3);
  // Two bytes, for ports that straddle.
  if (offset + 1 <= limit) yield descriptorRead("TSS", linear(base + BigInt(offset), state), 2);
}

function descriptorRead(source: string, gva: bigint, sizeBytes: number): MemoryAccess {
  return { source, kind: "descriptor", access: "read", gva, sizeBytes };
}

/** The write that marks a descriptor accessed, or a TSS busy. */
function written({ gva, source }: Descriptor): MemoryAccess {
  return { source, kind: "descriptor", access: "write", gva: gva + 5n, sizeBytes: 1 };
}

function cplOf(sregs: SystemRegisters): number {
  return sregs.ss.dpl;
}

/** Outside long mode, linear addresses have 32 bits. */
function linear(address: bigint, state: RegisterState): bigint {
  return BigInt.asUintN(modeOf(state) === "long" ? 64 : 32, address);
}
