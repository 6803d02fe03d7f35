/**
 * The bits of CR0, CR4, EFER and RFLAGS that a VMM meets, and these
 * registers as text.
 * Source: SDM volume 3A, "Control Registers" and "System Flags and Fields in the
 * EFLAGS Register"; AMD APM volume 2, section 3.1.7 for EFER's AMD bits.
 *
 * @module
 */

/** A register's bits: name to mask. */
type Bits = { readonly [name: string]: bigint };

/** Bits of CR0. */
export const CR0 = {
  PE: 1n << 0n,
  MP: 1n << 1n,
  EM: 1n << 2n,
  TS: 1n << 3n,
  ET: 1n << 4n,
  NE: 1n << 5n,
  WP: 1n << 16n,
  AM: 1n << 18n,
  NW: 1n << 29n,
  CD: 1n << 30n,
  PG: 1n << 31n,
} as const satisfies Bits;

/** Bits of CR4. */
export const CR4 = {
  VME: 1n << 0n,
  PVI: 1n << 1n,
  TSD: 1n << 2n,
  DE: 1n << 3n,
  PSE: 1n << 4n,
  PAE: 1n << 5n,
  MCE: 1n << 6n,
  PGE: 1n << 7n,
  PCE: 1n << 8n,
  OSFXSR: 1n << 9n,
  OSXMMEXCPT: 1n << 10n,
  UMIP: 1n << 11n,
  LA57: 1n << 12n,
  VMXE: 1n << 13n,
  SMXE: 1n << 14n,
  FSGSBASE: 1n << 16n,
  PCIDE: 1n << 17n,
  OSXSAVE: 1n << 18n,
  KL: 1n << 19n,
  SMEP: 1n << 20n,
  SMAP: 1n << 21n,
  PKE: 1n << 22n,
  CET: 1n << 23n,
  PKS: 1n << 24n,
  UINTR: 1n << 25n,
  LAM_SUP: 1n << 28n,
  FRED: 1n << 32n,
} as const satisfies Bits;

/** Bits of IA32_EFER. */
export const EFER = {
  SCE: 1n << 0n,
  LME: 1n << 8n,
  LMA: 1n << 10n,
  NXE: 1n << 11n,
  SVME: 1n << 12n,
  LMSLE: 1n << 13n,
  FFXSR: 1n << 14n,
  TCE: 1n << 15n,
  AUTOIBRS: 1n << 21n,
} as const satisfies Bits;

/** Bits of RFLAGS. `FIXED` always reads as 1; `IOPL` is two bits wide. */
export const RFLAGS = {
  CF: 1n << 0n,
  FIXED: 1n << 1n,
  PF: 1n << 2n,
  AF: 1n << 4n,
  ZF: 1n << 6n,
  SF: 1n << 7n,
  TF: 1n << 8n,
  IF: 1n << 9n,
  DF: 1n << 10n,
  OF: 1n << 11n,
  IOPL: 3n << 12n,
  NT: 1n << 14n,
  RF: 1n << 16n,
  VM: 1n << 17n,
  AC: 1n << 18n,
  VIF: 1n << 19n,
  VIP: 1n << 20n,
  ID: 1n << 21n,
} as const satisfies Bits;

/** Names of the set bits, lowest first, then what no name covers in hex; `"0"` when none is set. */
function describe(value: bigint, bits: Bits): string {
  const parts: string[] = [];
  let rest = value;
  for (const [name, mask] of Object.entries(bits)) {
    if (value & mask) parts.push(name);
    rest &= ~mask;
  }
  if (rest !== 0n || parts.length === 0) parts.push(rest === 0n ? "0" : `0x${rest.toString(16)}`);
  return parts.join("|");
}

/**
 * CR0 as text.
 *
 * @example
 * ```ts
 * import { describeCr0 } from "./control_registers.ts";
 * console.log(describeCr0(0x80000011n)); // "PE|ET|PG"
 * ```
 */
export function describeCr0(value: bigint): string {
  return describe(value, CR0);
}

/**
 * CR4 as text.
 *
 * @example
 * ```ts
 * import { describeCr4 } from "./control_registers.ts";
 * console.log(describeCr4(0x20n)); // "PAE"
 * ```
 */
export function describeCr4(value: bigint): string {
  return describe(value, CR4);
}

/**
 * EFER as text.
 *
 * @example
 * ```ts
 * import { describeEfer } from "./control_registers.ts";
 * console.log(describeEfer(0x500n)); // "LME|LMA"
 * ```
 */
export function describeEfer(value: bigint): string {
  return describe(value, EFER);
}

/**
 * RFLAGS as text, without the bit that is always 1 and with IOPL as a number
 * when it is not 0.
 *
 * @example
 * ```ts
 * import { describeRflags } from "./control_registers.ts";
 * console.log(describeRflags(0x3202n)); // "IF|IOPL=3"
 * ```
 */
export function describeRflags(value: bigint): string {
  const iopl = (value & RFLAGS.IOPL) >> 12n;
  return describe(value & ~RFLAGS.FIXED, RFLAGS).replace("IOPL", `IOPL=${iopl}`);
}
