/**
 * A memory fault: what is known of it.
 *
 * @module
 */

import { errnoName } from "../../ffi/errno.ts";
import { hex } from "../hex.ts";
import type { FaultShape } from "./classify.ts";
import type { Access, Candidate } from "./locate.ts";

/** What the fault looked like before it was recognized. */
export type Disguise = "mmio" | "emulation" | "shutdown" | "stall";

/** An access of the guest's to memory that the host cannot give it. */
export interface MemoryFault {
  /** How it showed itself. */
  readonly shape: FaultShape;
  /** What a disguised fault came as. */
  readonly disguise?: Disguise;
  /** The errno of `KVM_RUN`, 0 where it returned none. */
  readonly errno: number;
  /** The guest physical address, where it could be found. */
  readonly gpa?: bigint;
  /** Bytes: what KVM annotates, or what the access spans. */
  readonly sizeBytes: bigint;
  /** What the guest wanted to do. */
  readonly access: Access;
  /** The access was to private memory (`memory_fault.flags` bit 3). */
  readonly private: boolean;
  /** `memory_fault.flags`, 0 where there is no annotation. */
  readonly flags: bigint;
  /** The linear address, where it is known. */
  readonly gva?: bigint;
  /** RIP as KVM left it: behind the instruction where KVM has taken the store out of it. */
  readonly rip: bigint;
  /** How the address was found: `KVM`, `MMIO exit`, `operand`, … */
  readonly locatedBy: string;
  /** The memory slot's number. */
  readonly slot?: number;
  /** The host memory's state in words. */
  readonly hostState: string;
  /** The instruction, where it could be decoded. */
  readonly instruction?: string;
  /** Where the instruction is, where that is known. */
  readonly instructionRip?: bigint;
  /** Everything that was looked at. */
  readonly candidates: readonly Candidate[];
}

/** One attempt to resolve a fault. */
export interface Attempt {
  /** Who tried. */
  readonly resolver: string;
  /** What was done. */
  readonly note: string;
}

/** `memory_fault.flags` bits that are understood: bit 3, private. */
export const KNOWN_FAULT_FLAGS = 8n;

/** The fault in one line: where, what, how it is known. */
export function faultText(fault: MemoryFault): string {
  const gpa = fault.gpa === undefined ? "unknown" : hex(fault.gpa);
  const slot = fault.slot === undefined ? "none" : `${fault.slot}`;
  const shape = fault.disguise ? `${fault.shape}(${fault.disguise})` : fault.shape;
  const errno = fault.errno === 0 ? "none" : errnoName(fault.errno);
  const unknown = fault.flags & ~KNOWN_FAULT_FLAGS;
  return `gpa=${gpa} size=${hex(fault.sizeBytes)} access=${fault.access} ` +
    `${fault.private ? "private" : "shared"} errno=${errno} shape=${shape} slot=${slot} ` +
    `host="${fault.hostState}" rip=${hex(fault.rip)} located-by="${fault.locatedBy}"` +
    instructionText(fault) +
    (unknown ? ` unknown-flags=${hex(unknown)}` : "");
}

function instructionText({ instruction, instructionRip, rip }: MemoryFault): string {
  if (instruction === undefined) return "";
  const at = instructionRip === undefined || instructionRip === rip
    ? ""
    : ` at=${hex(instructionRip)}`;
  return ` instruction="${instruction}"${at}`;
}
