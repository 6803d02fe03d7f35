/**
 * Resolvers: what can repair a memory fault.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { KNOWN_FAULT_FLAGS, type MemoryFault } from "./fault.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Hole } from "../memory/hole.ts";
import { PAGE_BYTES } from "../memory/ram.ts";

/**
 * What is to happen after a fault: the access is made again, the guest is given
 * an exception, or the run ends.
 */
export type FaultAction = "retry" | "inject" | "stop";

/** What a resolver did. */
export interface Resolution {
  readonly action: FaultAction;
  /** What was done, for the trace: `supplied 0x1000 bytes`. */
  readonly note: string;
}

/** One link of the resolver chain. */
export interface FaultResolver {
  /** What the trace calls it. */
  readonly name: string;
  /** Tries to repair. @returns `undefined` where the fault is none of its business */
  resolve(fault: MemoryFault): Resolution | undefined;
}

/** The most pages that one touch of a lazy hole brings in: 2 MiB. */
const MAX_CHUNK_PAGES = 512;

/** How far one lazy hole has been filled. */
interface LazyState {
  /** A bit a page: whether it is there. */
  readonly present: Uint8Array;
  /** The page behind the last chunk: a touch there continues a sequence. */
  next: number;
  chunkPages: number;
}

/**
 * Gives lazy holes their memory upon the first touch: a page at a time, and in
 * chunks that double while the guest goes through memory in ascending order.
 */
export class LazyResolver implements FaultResolver {
  readonly name = "lazy";
  readonly #states = new Map<Hole, LazyState>();

  /** @param maxChunkPages 1 to bring in single pages only */
  constructor(
    readonly memory: GuestMemory,
    readonly maxChunkPages: number = MAX_CHUNK_PAGES,
  ) {}

  resolve(fault: MemoryFault): Resolution | undefined {
    if (fault.gpa === undefined) return undefined;
    const hole = this.memory.holeAt(fault.gpa);
    if (hole?.kind !== "lazy") return undefined;
    const pages = hole.sizeBytes / PAGE_BYTES;
    let state = this.#states.get(hole);
    if (!state) {
      state = { present: new Uint8Array(Math.ceil(pages / 8)), next: -1, chunkPages: 1 };
      this.#states.set(hole, state);
    }
    const first = Math.floor((Number(fault.gpa) - hole.gpa) / PAGE_BYTES);
    if (isPresent(state, first)) return undefined;
    state.chunkPages = first === state.next
      ? Math.min(state.chunkPages * 2, this.maxChunkPages)
      : 1;
    let end = first + 1;
    while (end < Math.min(pages, first + state.chunkPages) && !isPresent(state, end)) end++;
    this.#supply(hole, first, end);
    for (let page = first; page < end; page++) state.present[page >> 3]! |= 1 << (page & 7);
    state.next = end;
    return { action: "retry", note: `supplied ${hex((end - first) * PAGE_BYTES)} bytes` };
  }

  #supply(hole: Hole, first: number, end: number): void {
    const offset = first * PAGE_BYTES;
    const sizeBytes = (end - first) * PAGE_BYTES;
    let content: Uint8Array<ArrayBuffer> | undefined;
    if (hole.source) {
      content = new Uint8Array(sizeBytes);
      hole.source.read((hole.sourceOffset ?? 0) + offset, content);
    }
    this.memory.supply(BigInt(hole.gpa + offset), sizeBytes, content);
  }
}

function isPresent(state: LazyState, page: number): boolean {
  return (state.present[page >> 3]! & (1 << (page & 7))) !== 0;
}

/**
 * Makes memory private or shared as the annotated access requires: an implicit
 * conversion request.
 */
export class AttributesResolver implements FaultResolver {
  readonly name = "attributes";

  /** @param memory whose VM has `KVM_CAP_MEMORY_ATTRIBUTES` */
  constructor(readonly memory: Pick<GuestMemory, "setPrivate" | "slotAt">) {}

  resolve(fault: MemoryFault): Resolution | undefined {
    if (fault.shape !== "annotated" || fault.gpa === undefined) return undefined;
    if (fault.flags & ~KNOWN_FAULT_FLAGS) return undefined;
    if (this.memory.slotAt(fault.gpa)?.kind !== "private") return undefined;
    this.memory.setPrivate(fault.gpa, fault.sizeBytes, fault.private);
    return { action: "retry", note: `made ${fault.private ? "private" : "shared"}` };
  }
}

/** Gives a slot whose guest_memfd was closed a new one, if its hole allows that. */
export class RebindResolver implements FaultResolver {
  readonly name = "rebind";

  constructor(readonly memory: GuestMemory) {}

  resolve(fault: MemoryFault): Resolution | undefined {
    if (fault.gpa === undefined) return undefined;
    const slot = this.memory.slotAt(fault.gpa);
    if (slot?.kind !== "gmem" || !slot.hole?.rebind || !this.memory.isOrphan(slot)) {
      return undefined;
    }
    this.memory.rebind(slot);
    return { action: "retry", note: "bound a new guest_memfd" };
  }
}
