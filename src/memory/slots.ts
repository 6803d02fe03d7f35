/**
 * Memory slots: RAM and its holes, cut into what `KVM_SET_USER_MEMORY_REGION` takes.
 *
 * @module
 */

import type { Hole } from "./hole.ts";
import { type Gpa, gpaNumber, type RamRange } from "./ram.ts";

/**
 * What is behind a slot: RAM, RAM that the guest may not write to, a guest_memfd, or RAM
 * whose pages are private or shared.
 */
export type SlotKind = "ram" | "rom" | "gmem" | "private";

/** A memory slot. */
export interface Slot {
  /** Its number. */
  readonly id: number;
  readonly gpa: number;
  readonly sizeBytes: number;
  /** Where its memory begins in the host memory that is reserved for the guest's RAM. */
  readonly offset: number;
  readonly kind: SlotKind;
  /** The hole that made it a separate slot. */
  readonly hole?: Hole;
}

/** Holes that get a separate slot. All others lie within a RAM slot. */
const OWN_SLOT: Partial<Record<Hole["kind"], SlotKind>> = {
  romslot: "rom",
  gmem: "gmem",
  private: "private",
};

/**
 * Splits RAM into slots around its holes.
 *
 * @param holes pieces in ascending order, each within one range, as `cutHoles` gives them
 *
 * @example
 * ```ts
 * import { planSlots } from "./slots.ts";
 * const hole = { gpa: 0x1000, sizeBytes: 0x1000, kind: "noslot" } as const;
 * const slots = planSlots([{ gpa: 0, sizeBytes: 0x3000 }], [hole]);
 * console.log(slots.map((slot) => slot.gpa)); // [0, 8192]
 * ```
 */
export function planSlots(ram: readonly RamRange[], holes: readonly Hole[]): Slot[] {
  const slots: Slot[] = [];
  let rangeOffset = 0;
  for (const range of ram) {
    const add = (gpa: number, end: number, kind: SlotKind, hole?: Hole): void => {
      if (gpa >= end) return;
      const offset = rangeOffset + gpa - range.gpa;
      const sizeBytes = end - gpa;
      slots.push({ id: slots.length, gpa, sizeBytes, offset, kind, ...(hole ? { hole } : {}) });
    };
    const rangeEnd = range.gpa + range.sizeBytes;
    let at = range.gpa;
    for (const hole of holes) {
      if (hole.gpa < range.gpa || hole.gpa >= rangeEnd) continue;
      const kind = OWN_SLOT[hole.kind];
      if (kind === undefined && hole.kind !== "noslot") continue;
      add(at, hole.gpa, "ram");
      at = hole.gpa + hole.sizeBytes;
      if (kind !== undefined) add(hole.gpa, at, kind, hole);
    }
    add(at, rangeEnd, "ram");
    rangeOffset += range.sizeBytes;
  }
  return slots;
}

/** Finds the slot that covers a GPA. Slots are few, and most accesses are in the first. */
export function slotAt(slots: readonly Slot[], gpa: Gpa): Slot | undefined {
  const at = gpaNumber(gpa);
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!;
    if (at >= slot.gpa && at < slot.gpa + slot.sizeBytes) return slot;
  }
  return undefined;
}
