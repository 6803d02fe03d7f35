/**
 * Finds the instruction that exited. KVM leaves RIP at an instruction that needs a reply, and
 * past a HLT and the stores that its instruction emulator made. After an OUT, RIP is past
 * it if the emulator ran it, and at it otherwise.
 *
 * @module
 */

import type { IoExit, MmioExit, VmExit } from "../exits/exit.ts";
import { readLinear } from "../faults/linear_memory.ts";
import type { CpuState } from "../faults/locate.ts";
import { NearbyCode } from "../faults/nearby_code.ts";
import { findPassedStore } from "../faults/passed_store.ts";
import { planBoot } from "../boot/detect.ts";
import { VirtualMachine } from "../machine/machine.ts";
import type { RunContext } from "../machine/run_context.ts";
import { fieldsText, showAs } from "./inspect.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import {
  type Bitness,
  bitnessOf,
  type DecodedInstruction,
  decoder,
  linearRip,
  MAX_INSTRUCTION_BYTES,
} from "../x86/instruction.ts";

/**
 * The instruction that exited.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xe6, 0x10, 0xf4]), { protocol: "flat16" });
 * for (const { instruction } of vm.exits()) {
 *   console.log(instruction?.rip.toString(16), instruction?.text); // 7c00 out 0x10, al
 *   break;
 * }
 * ```
 */
export interface ExitInstruction {
  /** Where it begins, as an offset in CS. */
  readonly rip: bigint;
  /** Where it begins, as a linear address (GVA). */
  readonly gva: bigint;
  /** In Intel syntax; `(bad)` for bytes that are no instruction. */
  readonly text: string;
  /** Its bytes. */
  readonly bytes: Uint8Array;
}

/** The instruction at RIP. @returns `undefined` where no byte of it can be read */
export function instructionAt(state: CpuState, memory: GuestMemory): ExitInstruction | undefined {
  const { regs: { rip }, sregs } = state;
  const gva = linearRip(state.regs, sregs);
  const code = readLinear(sregs, memory, gva, MAX_INSTRUCTION_BYTES);
  return code.length === 0 ? undefined : described(code, state, rip, gva);
}

function described(
  code: Uint8Array,
  { sregs }: CpuState,
  rip: bigint,
  gva: bigint,
): ExitInstruction {
  const decoded = decoder().decode(code, bitnessOf(sregs), { rip });
  const text = decoded?.text ?? "(bad)";
  const bytes = decoded ? code.slice(0, decoded.lengthBytes) : code;
  return showAs({ rip, gva, text, bytes }, (self) => fieldsText("Instruction", self));
}

/**
 * The instruction of an exit that has not been served.
 *
 * @returns `undefined` where its bytes cannot be read
 */
export function exitInstruction(
  exit: VmExit,
  { vcpu, memory }: Pick<RunContext, "vcpu" | "memory">,
): ExitInstruction | undefined {
  const regs = vcpu.regs();
  const state = { regs: { ...regs, rip: exit.rip ?? regs.rip }, sregs: vcpu.sregs() };
  const rip = new Search(state, memory).ripOf(exit);
  const found = instructionAt({ ...state, regs: { ...state.regs, rip } }, memory);
  if (found || exit.reason !== "INTERNAL_ERROR" || !exit.instructionBytes) return found;
  return described(exit.instructionBytes, state, rip, linearRip(state.regs, state.sregs));
}

/** Finds where the instruction of an exit begins. */
class Search {
  readonly #state: CpuState;
  readonly #memory: GuestMemory;
  readonly #code: NearbyCode;

  constructor(state: CpuState, memory: GuestMemory) {
    this.#state = state;
    this.#memory = memory;
    this.#code = new NearbyCode(state, memory, decoder());
  }

  ripOf(exit: VmExit): bigint {
    const { rip } = this.#state.regs;
    switch (exit.reason) {
      case "HLT":
        return this.#behind(({ mnemonic }) => mnemonic === "Hlt") ?? rip;
      case "IO":
        return exit.direction === "in" ? rip : this.#outRip(exit);
      case "MMIO":
        return exit.direction === "read" ? rip : this.#storeRip(exit);
      default:
        return rip;
    }
  }

  #storeRip({ gpa, size, data }: MmioExit): bigint {
    const store = { gpa, sizeBytes: size, data };
    const passed = findPassedStore(this.#state, this.#memory, decoder(), store);
    return passed?.rip ?? this.#state.regs.rip;
  }

  #outRip(exit: IoExit): bigint {
    const { regs: { rip, rax, rdx }, sregs } = this.#state;
    const { data, size } = exit;
    const isOut = (instruction: DecodedInstruction) => isOutTo(instruction, exit, rdx);
    // REP OUTS leaves RIP at the instruction, in its last part too: KVM ends it on reentry.
    const behind = this.#behind((instruction) => !instruction.repeats && isOut(instruction));
    const at = this.#code.decode(rip);
    if (behind === undefined || !at || !isOut(at)) return behind ?? rip;
    // Either may be it.
    if (at.repeats) return integer(data) === BigInt.asUintN(8 * size, rax) ? behind : rip;
    if (at.mnemonic !== "Out") return behind;
    return passesOut(bitnessOf(sregs)) ? behind : rip;
  }

  /** Where an instruction begins that ends at RIP. */
  #behind(test: (instruction: DecodedInstruction) => boolean): bigint | undefined {
    const { rip } = this.#state.regs;
    return this.#code.endingAt(rip, (instruction, at) => test(instruction) ? at : undefined);
  }
}

const ACCUMULATORS: Readonly<Record<number, string>> = { 1: "AL", 2: "AX", 4: "EAX" };
const STRINGS: Readonly<Record<number, string>> = { 1: "Outsb", 2: "Outsw", 4: "Outsd" };

/** Whether an instruction writes to the port of an exit, with items of its size. */
function isOutTo(instruction: DecodedInstruction, { port, size, count }: IoExit, rdx: bigint) {
  const { mnemonic, immediate, registers, repeats } = instruction;
  const target = Number(immediate === undefined ? rdx & 0xffffn : immediate & 0xffn);
  if (target !== port) return false;
  if (mnemonic === "Out") return count === 1 && registers[1] === ACCUMULATORS[size];
  return mnemonic === STRINGS[size] && (repeats || count === 1);
}

/** Little-endian bytes as an integer. */
function integer(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => value << 8n | BigInt(byte), 0n);
}

const passing = new Map<Bitness, boolean>();

/** Whether this host's KVM leaves RIP past an OUT, tried once for each mode. */
function passesOut(bitness: Bitness): boolean {
  const known = passing.get(bitness);
  if (known !== undefined) return known;
  let rip: bigint | undefined;
  using machine = new VirtualMachine({
    memoryBytes: 2 << 20,
    serve({ vcpu, control }) {
      rip = vcpu.page.rip;
      control.outcome = { kind: "stopped" };
      return "stop";
    },
  });
  const plan = planBoot(Uint8Array.of(0xe6, 0x10, 0xf4), "", `flat${bitness}`, { // out 0x10, al
    ram: machine.memory.ranges,
  });
  machine.boot(plan);
  machine.runFor(1000);
  const passes = rip !== plan.entry.rip;
  passing.set(bitness, passes);
  return passes;
}
