/**
 * Registers by the names that instructions give them.
 *
 * @module
 */

import type { Registers, SegmentRegister, SystemRegisters } from "./registers.ts";

/** A register as a part of one of 64 bits. */
interface Part {
  readonly whole: keyof Registers;
  readonly bits: number;
  readonly shift: bigint;
}

const PARTS: ReadonlyMap<string, Part> = new Map(names());

function* names(): Generator<[string, Part]> {
  for (const whole of ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] as const) {
    const name = whole.slice(1).toUpperCase();
    const isLetter = name.endsWith("X");
    yield [`R${name}`, { whole, bits: 64, shift: 0n }];
    yield [`E${name}`, { whole, bits: 32, shift: 0n }];
    yield [name, { whole, bits: 16, shift: 0n }];
    yield [isLetter ? `${name[0]}L` : `${name}L`, { whole, bits: 8, shift: 0n }];
    if (isLetter) yield [`${name[0]}H`, { whole, bits: 8, shift: 8n }];
  }
  for (const whole of ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const) {
    const name = whole.toUpperCase();
    for (const [suffix, bits] of [["", 64], ["D", 32], ["W", 16], ["L", 8]] as const) {
      yield [`${name}${suffix}`, { whole, bits, shift: 0n }];
    }
  }
}

/**
 * A general register's value by its name in any width; 0 for `None`.
 *
 * @returns `undefined` for a register of another kind
 *
 * @example
 * ```ts
 * import { registerValue } from "./register_values.ts";
 * import type { Registers } from "./registers.ts";
 * console.log(registerValue("AH", { rax: 0x1234n } as Registers)); // 18n
 * ```
 */
export function registerValue(name: string, regs: Registers): bigint | undefined {
  if (name === "None") return 0n;
  const part = PARTS.get(name);
  return part && BigInt.asUintN(part.bits, regs[part.whole] >> part.shift);
}

/** A segment register by its name. */
export function segmentRegister(
  name: string,
  sregs: SystemRegisters,
): SegmentRegister | undefined {
  switch (name) {
    case "CS":
    case "DS":
    case "ES":
    case "FS":
    case "GS":
    case "SS":
      return sregs[name.toLowerCase() as "cs" | "ds" | "es" | "fs" | "gs" | "ss"];
    default:
      return undefined;
  }
}
