/**
 * The debug registers DR6 (what happened) and DR7 (what is armed) as text,
 * for KVM_EXIT_DEBUG.
 * Source: SDM volume 3B, "Debug Status Register (DR6)" and "Debug Control Register
 * (DR7)".
 *
 * @module
 */

/** DR6 flags that are 1 when the condition was met. */
const DR6_FLAGS: readonly (readonly [bit: bigint, name: string])[] = [
  [1n << 0n, "B0 breakpoint 0"],
  [1n << 1n, "B1 breakpoint 1"],
  [1n << 2n, "B2 breakpoint 2"],
  [1n << 3n, "B3 breakpoint 3"],
  [1n << 13n, "BD debug-register access"],
  [1n << 14n, "BS single step"],
  [1n << 15n, "BT task switch"],
];

/** DR6 flags that are 0 when the condition was met. */
const DR6_INVERTED_FLAGS: readonly (readonly [bit: bigint, name: string])[] = [
  [1n << 11n, "BLD bus lock"],
  [1n << 16n, "RTM transactional region"],
];

/** Bits 4 to 10 of DR6 always read as 1 in the register itself. */
const DR6_ALWAYS_ONE = 0x7f0n;

/**
 * The conditions that a DR6 value reports, comma-separated, or `"none"`.
 *
 * BLD and RTM are inverted flags. They are decoded only from a value that has
 * DR6's always-one bits, as the register does: the VMX exit qualification has the
 * same layout without them, and would read as a bus lock.
 *
 * @example
 * ```ts
 * import { describeDr6 } from "./debug_registers.ts";
 * console.log(describeDr6(0xffff4ff1n)); // "B0 breakpoint 0, BS single step"
 * ```
 */
export function describeDr6(dr6: bigint): string {
  const met = DR6_FLAGS.filter(([bit]) => dr6 & bit);
  if ((dr6 & DR6_ALWAYS_ONE) === DR6_ALWAYS_ONE) {
    met.push(...DR6_INVERTED_FLAGS.filter(([bit]) => !(dr6 & bit)));
  }
  return met.map(([, name]) => name).join(", ") || "none";
}

/** DR7's R/W fields; "io" needs CR4.DE. */
const BREAKPOINT_TYPES = ["execute", "write", "io", "access"] as const;
/** DR7's LEN fields, in bytes. */
const BREAKPOINT_LENGTHS = [1, 2, 8, 4] as const;
const DR7_GD = 1n << 13n;

/**
 * The breakpoints that a DR7 value arms, comma-separated, or `"none"`: number,
 * what it stops at, length in bytes (an execution breakpoint has none), and
 * whether it is local, global or both; then `GD` when debug registers are guarded.
 *
 * @example
 * ```ts
 * import { describeDr7 } from "./debug_registers.ts";
 * console.log(describeDr7(0xd0402n)); // "0 write length=4 global"
 * ```
 */
export function describeDr7(dr7: bigint): string {
  const parts: string[] = [];
  const bits = Number(BigInt.asUintN(32, dr7));
  for (let i = 0; i < 4; i++) {
    const enable = (bits >>> (2 * i)) & 3;
    if (enable === 0) continue;
    const type = BREAKPOINT_TYPES[(bits >>> (16 + 4 * i)) & 3];
    const length = BREAKPOINT_LENGTHS[(bits >>> (18 + 4 * i)) & 3];
    const scope = ["local", "global", "local+global"][enable - 1];
    parts.push(`${i} ${type}${type === "execute" ? "" : ` length=${length}`} ${scope}`);
  }
  if (dr7 & DR7_GD) parts.push("GD");
  return parts.join(", ") || "none";
}
