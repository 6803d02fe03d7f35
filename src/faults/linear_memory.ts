/**
 * Guest memory by linear address, through the guest's own page tables.
 *
 * @module
 */

import type { GuestMemory } from "../memory/guest_memory.ts";
import { pagePieces } from "../pages.ts";
import { type PagingRegisters, walk, type WalkResult } from "../x86/page_tables.ts";

/** What the search for a fault needs of guest memory. */
export type ProbedMemory = Pick<GuestMemory, "slotAt" | "probe" | "tryRead">;

/** Translates a linear address by the guest's own page tables. */
export function translate(
  registers: PagingRegisters,
  memory: ProbedMemory,
  gva: bigint,
): WalkResult {
  return walk((gpa) => readU64(memory, gpa), registers, gva);
}

/**
 * Copies out bytes by linear address: fewer, or none, where the guest does not map
 * them or the host cannot read them.
 */
export function readLinear(
  registers: PagingRegisters,
  memory: ProbedMemory,
  gva: bigint,
  sizeBytes: number,
  translated = (address: bigint): WalkResult => translate(registers, memory, address),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (const piece of pagePieces(gva, sizeBytes)) {
    const result = translated(piece.address);
    if (!result.mapped) return bytes.subarray(0, piece.offset);
    const read = memory.tryRead(result.gpa, piece.sizeBytes);
    bytes.set(read, piece.offset);
    if (read.length < piece.sizeBytes) return bytes.subarray(0, piece.offset + read.length);
  }
  return bytes;
}

function readU64(memory: ProbedMemory, gpa: bigint): bigint | undefined {
  const bytes = memory.tryRead(gpa, 8);
  if (bytes.length < 8) return undefined;
  return new DataView(bytes.buffer).getBigUint64(0, true);
}
