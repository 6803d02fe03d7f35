/**
 * Registers by the names that instructions give them.
 *
 * @module
 */

import type { Registers, SegmentRegister, SystemRegisters } from "./registers.ts";

const WIDE = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] as const;
/** Names of the low byte and of the second: AL, AH. */
const BYTES = ["A", "C", "D", "B"];

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
  const extended = /^R(\d+)([DWL]?)$/.exec(name);
  if (extended) {
    const bits = { D: 32, W: 16, L: 8 }[extended[2]!] ?? 64;
    const value = regs[`r${extended[1]}` as keyof Registers];
    return value === undefined ? undefined : BigInt.asUintN(bits, value);
  }
  const byte = /^([ABCD])([LH])$/.exec(name);
  if (byte) {
    const value = regs[WIDE[BYTES.indexOf(byte[1]!)]!];
    return BigInt.asUintN(8, byte[2] === "H" ? value >> 8n : value);
  }
  const lower = name.toLowerCase();
  const low = WIDE.find((register) => lower === `${register.slice(1)}l`); // SPL, BPL, SIL, DIL
  if (low) return BigInt.asUintN(8, regs[low]);
  const wide = WIDE.find((register) => register.slice(1) === lower.slice(-2));
  if (wide === undefined || name.length > 3) return undefined;
  const bits = name.length === 2 ? 16 : name[0] === "E" ? 32 : name[0] === "R" ? 64 : 0;
  return bits === 0 ? undefined : BigInt.asUintN(bits, regs[wide]);
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
