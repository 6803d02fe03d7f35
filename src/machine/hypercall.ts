/**
 * Hypercalls that KVM leaves to the VMM: the explicit request of a guest to make
 * memory private or shared (`KVM_HC_MAP_GPA_RANGE`).
 *
 * @module
 */

import { KVM_HC, KVM_MAP_GPA_RANGE } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { HypercallExit } from "../exits/exit.ts";
import type { ExitPage } from "../kvm/exit_page.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { PAGE_BYTES } from "../pages.ts";

/** The reply to an unknown hypercall: -KVM_ENOSYS (linux/kvm_para.h). */
const NOT_KNOWN = -1000n;
/** The reply to invalid arguments: -KVM_EINVAL. */
const INVALID = -22n;

/** The bit of `KVM_CAP_EXIT_HYPERCALL` that asks for these hypercalls. */
export const MAP_GPA_RANGE_MASK: bigint = 1n << BigInt(KVM_HC.MAP_GPA_RANGE);

/**
 * Replies to a hypercall. Whatever the guest asks for, only slots with private memory
 * are changed.
 *
 * @returns what was done, for the trace
 */
export function serveHypercall(
  page: ExitPage,
  memory: Pick<GuestMemory, "slotAt" | "setPrivate">,
): string {
  const exit = decodeExit(page);
  const answer = exit.reason === "HYPERCALL" && exit.nr === BigInt(KVM_HC.MAP_GPA_RANGE)
    ? mapGpaRange(exit, memory)
    : NOT_KNOWN;
  page.replyHypercall(answer);
  return answer === 0n ? "attributes" : `refused (${answer})`;
}

function mapGpaRange(
  { args }: HypercallExit,
  memory: Pick<GuestMemory, "slotAt" | "setPrivate">,
): bigint {
  const [gpa, pages, attributes] = [args[0]!, args[1]!, args[2]!];
  const size = pages * BigInt(PAGE_BYTES);
  if (gpa % BigInt(PAGE_BYTES) !== 0n || pages === 0n || gpa + size > 1n << 52n) return INVALID;
  const slot = memory.slotAt(gpa);
  if (slot?.kind !== "private") return NOT_KNOWN;
  if (gpa + size > BigInt(slot.gpa + slot.sizeBytes)) return INVALID;
  memory.setPrivate(gpa, size, (attributes & KVM_MAP_GPA_RANGE.ENCRYPTED) !== 0n);
  return 0n;
}
