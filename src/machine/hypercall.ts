/**
 * Hypercalls that KVM leaves to the VMM: the explicit request of a guest to make
 * memory private or shared (`KVM_HC_MAP_GPA_RANGE`).
 *
 * @module
 */

import { KVM_HC, KVM_MAP_GPA_RANGE } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_EXIT_OFFSET, KVM_RUN_HYPERCALL } from "../../ffi/kvm_run.ts";
import type { HypercallExit, VmExit } from "../exits/exit.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { PAGE_BYTES } from "../memory/ram.ts";

/** What a hypercall returns that nobody knows: -KVM_ENOSYS (linux/kvm_para.h). */
const NOT_KNOWN = -1000n;
/** What it returns for arguments that make no sense: -KVM_EINVAL. */
const INVALID = -22n;

/** The bit of `KVM_CAP_EXIT_HYPERCALL` that asks for these hypercalls. */
export const MAP_GPA_RANGE_MASK: bigint = 1n << BigInt(KVM_HC.MAP_GPA_RANGE);

/**
 * Answers a hypercall in `kvm_run`. Whatever the guest asks for, only slots that
 * have private memory are changed.
 *
 * @returns what was done, for the trace
 */
export function serveHypercall(
  exit: VmExit,
  area: Uint8Array<ArrayBuffer>,
  memory: Pick<GuestMemory, "slotAt" | "setPrivate">,
): string {
  const answer = exit.reason === "HYPERCALL" && exit.nr === BigInt(KVM_HC.MAP_GPA_RANGE)
    ? mapGpaRange(exit, memory)
    : NOT_KNOWN;
  const at = KVM_RUN_EXIT_OFFSET + KVM_RUN_HYPERCALL.fields.ret[0];
  new DataView(area.buffer, area.byteOffset).setBigInt64(at, answer, true);
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
