/**
 * Pages, and how an access splits at their boundaries: what x86, guest memory
 * and the host have in common.
 *
 * @module
 */

/** The smallest page of the guest and of the host, in bytes. */
export const PAGE_BYTES = 4096;

const OFFSET_MASK = BigInt(PAGE_BYTES - 1);

/** The part of an access that lies in one page. */
export interface PagePiece {
  /** Where it begins. */
  readonly address: bigint;
  /** How far into the access that is, in bytes. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The address of the page that holds an address. */
export function pageOf(address: bigint): bigint {
  return address & ~OFFSET_MASK;
}

/** How far into its page an address is, in bytes. */
export function offsetInPage(address: bigint): number {
  return Number(address & OFFSET_MASK);
}

/**
 * Splits `[address, address + sizeBytes)` at page boundaries, in ascending order.
 * Addresses may pass 2^64; wrapping them is up to the caller.
 *
 * @example
 * ```ts
 * import { pagePieces } from "./pages.ts";
 * console.log([...pagePieces(0x1ffen, 4)].map((piece) => piece.address)); // [8190n, 8192n]
 * ```
 */
export function* pagePieces(address: bigint, sizeBytes: number): Generator<PagePiece> {
  for (let offset = 0; offset < sizeBytes;) {
    const at = address + BigInt(offset);
    const piece = Math.min(sizeBytes - offset, PAGE_BYTES - offsetInPage(at));
    yield { address: at, offset, sizeBytes: piece };
    offset += piece;
  }
}
