/**
 * An access that the search for a fault examines, as messages, traces and the library show it.
 *
 * @module
 */

import type { WalkStep } from "../x86/page_tables.ts";

/** What the guest attempted. */
export type GuestAccess = "read" | "write" | "fetch" | "unknown";

/**
 * What kind of access it is: the fetch of the instruction, an operand of it, an entry of
 * the page tables on the way to either, or what the processor accesses on its own: the
 * descriptor tables, the TSS, and the stack when it delivers an interrupt.
 */
export type CandidateKind = "fetch" | "operand" | "table" | "descriptor";

/** An access that may be the one that failed. */
export interface Candidate {
  /** Its part in the instruction. */
  readonly kind: CandidateKind;
  /** What makes the access: `instruction fetch`, `operand`, `page table entry (PT)`, … */
  readonly source: string;
  /** What it does. */
  readonly access: GuestAccess;
  /** The linear address, if it has one. */
  readonly gva?: bigint;
  /** The GPA that the guest's page tables give it, if any. */
  readonly gpa?: bigint;
  /** Bytes within this page. */
  readonly sizeBytes: number;
  /** Whether the host memory behind it is unusable. */
  readonly bad: boolean;
  /**
   * Made on a condition only: `exception`, if the guest gets one whose vector is not known;
   * `walk`, if page walks write, as with nested paging they do; `length`, if the processor
   * takes more bytes of an undefined opcode than the decoder does.
   */
  readonly speculative?: "exception" | "walk" | "length";
  /** The state as text. */
  readonly state: string;
  /** The page-table entries that led there. */
  readonly walk: readonly WalkStep[];
}
