/**
 * Exits that are memory faults in disguise (R5): KVM's instruction emulator reports an
 * access to memory that it cannot reach as MMIO, as a failed emulation, or lets it end in
 * a triple fault.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { VmExit } from "../exits/exit.ts";
import type { ExitPage } from "../kvm/exit_page.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { SlotKind } from "../memory/slots.ts";
import type { Disguise, FaultShape } from "./fault.ts";

/** Where a fault came from: the errno, or the exit that it is disguised as. */
export interface FaultOrigin {
  readonly shape: FaultShape;
  readonly disguise?: Disguise;
  readonly errno: number;
  /** The exit, if its payload is valid. */
  readonly exit?: VmExit;
}

/**
 * Whether an access to a GPA that a slot covers is a memory fault, now that KVM
 * came out with `MMIO` for it. Only a write to a read-only slot rightly does.
 */
export function isDisguisedMmio(slot: SlotKind | undefined, isWrite: boolean): boolean {
  return slot !== undefined && !(slot === "rom" && isWrite);
}

/**
 * What an exit may be in disguise. MMIO in a slot surely is one; for a failed emulation and a
 * triple fault only memory can tell.
 *
 * @returns `undefined` for an exit that is what it says
 */
export function originOf(
  page: ExitPage,
  memory: Pick<GuestMemory, "slotAt">,
): FaultOrigin | undefined {
  switch (page.reason) {
    case KVM_EXIT.MMIO: {
      const { gpa, isWrite } = page.mmio;
      if (!isDisguisedMmio(memory.slotAt(gpa)?.kind, isWrite)) return undefined;
      return disguised("mmio", decodeExit(page));
    }
    case KVM_EXIT.INTERNAL_ERROR:
      return disguised("emulation", decodeExit(page));
    case KVM_EXIT.SHUTDOWN:
      return disguised("shutdown", decodeExit(page));
    default:
      return undefined;
  }
}

function disguised(disguise: Disguise, exit: VmExit): FaultOrigin {
  return { shape: "disguised", disguise, errno: 0, exit };
}
