/**
 * A memory fault: where, what kind of access, and how it was found. Made by the
 * fault handler, shown by traces, messages and the library.
 *
 * @module
 */

import { errnoName } from "../../ffi/errno.ts";
import { hex } from "../hex.ts";
import type { Candidate, GuestAccess } from "./candidate.ts";

/**
 * How a memory fault shows itself: KVM says where and why (`annotated`), KVM says
 * nothing (`unannotated`), or KVM says something else (`disguised`).
 */
export type FaultShape = "annotated" | "unannotated" | "disguised";

/** The exit that a disguised fault came as. */
export type Disguise = "mmio" | "emulation" | "shutdown" | "stall";

/** A guest access to memory that the host cannot provide. */
export interface MemoryFault {
  /** Whether KVM annotated it, gave no address, or came out with something else. */
  readonly shape: FaultShape;
  /** The exit that a disguised fault came as. */
  readonly disguise?: Disguise;
  /** The errno of `KVM_RUN`, 0 if it returned none. */
  readonly errno: number;
  /** The guest physical address, if it was found. */
  readonly gpa?: bigint;
  /** Bytes: what KVM annotates, or what the access spans. */
  readonly sizeBytes: bigint;
  /** What the guest attempted. */
  readonly access: GuestAccess;
  /** The access was to private memory (`memory_fault.flags` bit 3). */
  readonly private: boolean;
  /** `memory_fault.flags`, 0 without an annotation. */
  readonly flags: bigint;
  /** The linear address, if known. */
  readonly gva?: bigint;
  /** RIP as KVM left it: past the instruction if KVM has emulated it. */
  readonly rip: bigint;
  /** How the address was found: `KVM`, `MMIO exit`, `operand`, … */
  readonly locatedBy: string;
  /** The memory slot's number. */
  readonly slot?: number;
  /** The host memory's state as text. */
  readonly hostState: string;
  /** The instruction, if it could be decoded. */
  readonly instruction?: string;
  /** The instruction's address, if known. */
  readonly instructionRip?: bigint;
  /** Every access that was examined. */
  readonly candidates: readonly Candidate[];
}

/** One attempt to resolve a fault. */
export interface Attempt {
  /** The resolver's name. */
  readonly resolver: string;
  /** What it did. */
  readonly note: string;
}

/** The `memory_fault.flags` bits that vmexit knows: bit 3, private. */
export const KNOWN_FAULT_FLAGS = 8n;

/** The fault in one line: where, what, how it was found. */
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
