/**
 * The processor's exception and interrupt vectors 0 to 31.
 * Source: SDM volume 3A, "Protected-Mode Exceptions and Interrupts" (table 6-1);
 * AMD APM volume 2, section 8.2 for #HV, #VC and #SX.
 *
 * @module
 */

/** What the architecture says about one exception vector. */
export interface ExceptionVector {
  /** The vector, 0 to 31. */
  readonly vector: number;
  /** The manuals' mnemonic, such as `#PF`; empty for vector 9, which has none. */
  readonly mnemonic: string;
  /** Its name in the manuals. */
  readonly name: string;
  /** Whether delivery pushes an error code. */
  readonly hasErrorCode: boolean;
}

const DEFINED: readonly (readonly [number, string, string, errorCode?: true])[] = [
  [0, "#DE", "divide error"],
  [1, "#DB", "debug"],
  [2, "NMI", "non-maskable interrupt"],
  [3, "#BP", "breakpoint"],
  [4, "#OF", "overflow"],
  [5, "#BR", "bound range exceeded"],
  [6, "#UD", "invalid opcode"],
  [7, "#NM", "device not available"],
  [8, "#DF", "double fault", true],
  [9, "", "coprocessor segment overrun"],
  [10, "#TS", "invalid TSS", true],
  [11, "#NP", "segment not present", true],
  [12, "#SS", "stack-segment fault", true],
  [13, "#GP", "general protection", true],
  [14, "#PF", "page fault", true],
  [16, "#MF", "x87 floating-point error"],
  [17, "#AC", "alignment check", true],
  [18, "#MC", "machine check"],
  [19, "#XM", "SIMD floating-point exception"],
  [20, "#VE", "virtualization exception"],
  [21, "#CP", "control protection", true],
  [28, "#HV", "hypervisor injection"],
  [29, "#VC", "VMM communication", true],
  [30, "#SX", "security exception", true],
];

const VECTORS = new Map<number, ExceptionVector>();
for (const [vector, mnemonic, name, errorCode] of DEFINED) {
  VECTORS.set(vector, { vector, mnemonic, name, hasErrorCode: errorCode === true });
}

/**
 * The facts about an exception vector, or `undefined` for one that the
 * architecture leaves reserved or to interrupts.
 *
 * @example
 * ```ts
 * import { exceptionVector } from "./vector_names.ts";
 * console.log(exceptionVector(14)?.hasErrorCode); // true
 * ```
 */
export function exceptionVector(vector: number): ExceptionVector | undefined {
  return VECTORS.get(vector);
}

/**
 * Mnemonic and name of an exception vector, or `undefined` if it has none.
 *
 * @example
 * ```ts
 * import { vectorName } from "./vector_names.ts";
 * console.log(vectorName(13)); // "#GP general protection"
 * ```
 */
export function vectorName(vector: number): string | undefined {
  const known = VECTORS.get(vector);
  return known && `${known.mnemonic} ${known.name}`.trimStart();
}
