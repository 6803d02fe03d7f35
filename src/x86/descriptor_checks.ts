/**
 * What the processor checks before it loads a descriptor: one that it refuses raises an
 * exception and stays as it is, so that its table need not be writable.
 * Source: SDM volume 3A, 5.6 to 5.8, and LTR in volume 2.
 *
 * @module
 */

/** What a descriptor is loaded for; `return` is a far return or IRET, `gate` the code behind one. */
export type DescriptorUse = "data" | "stack" | "code" | "return" | "gate" | "task";

/** What the checks look at. */
export interface DescriptorRights {
  readonly type: number;
  /** A system descriptor: a gate, TSS or LDT. */
  readonly isSystem: boolean;
  readonly isPresent: boolean;
  readonly dpl: number;
}

/** Bits of a segment's type (SDM volume 3A, table 3-1). */
const SEGMENT = { writable: 2, readable: 2, conforming: 4, code: 8 } as const;
/** The type of a TSS that is not busy, but for the bit that tells 16 from 32 bits. */
const AVAILABLE_TSS = 1;

/**
 * Whether the processor loads a descriptor.
 *
 * @param rpl the selector's requested privilege level
 */
export function isLoadable(
  { type, isSystem, isPresent, dpl }: DescriptorRights,
  use: DescriptorUse,
  rpl: number,
  cpl: number,
): boolean {
  if (!isPresent || isSystem !== (use === "task")) return false;
  if (use === "task") return (type & ~8) === AVAILABLE_TSS;
  const isCode = (type & SEGMENT.code) !== 0;
  const isConforming = isCode && (type & SEGMENT.conforming) !== 0;
  switch (use) {
    case "stack":
      return !isCode && (type & SEGMENT.writable) !== 0 && dpl === cpl && rpl === cpl;
    case "data":
      if (isCode && !(type & SEGMENT.readable)) return false;
      return isConforming || dpl >= Math.max(cpl, rpl);
    case "code":
      return isCode && (isConforming ? dpl <= cpl : dpl === cpl && rpl <= cpl);
    case "return":
      return isCode && rpl >= cpl && (isConforming ? dpl <= rpl : dpl === rpl);
    case "gate":
      return isCode && dpl <= cpl;
  }
}
