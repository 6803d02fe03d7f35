/**
 * Resolvers: the ways to repair a memory fault, which the fault handler tries in turn.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { KNOWN_FAULT_FLAGS, type MemoryFault } from "./fault.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import type { Hole } from "../memory/hole.ts";
import { PAGE_BYTES } from "../pages.ts";

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
  /** Tries to repair. @returns `undefined` for a fault that it does not handle */
  resolve(fault: MemoryFault): Resolution | undefined;
}

/** The most pages that one touch of a lazy hole brings in: 2 MiB. */
const MAX_CHUNK_PAGES = 512;
/**
 * All lazy holes of a machine are supplied in at most this many units. Each may split a mapping of
 * the process in two more, and the kernel allows 65,530 of them (vm.max_map_count), of which
 * JavaScript needs some: a guest that touches every other page must not use them up.
 */
const MAX_UNITS = 8192;

/** How far one lazy hole has been filled. */
interface LazyState {
  /** A bit per page: whether it is there. */
  readonly present: Uint8Array;
  /** What is supplied at once, at least: whole units from the hole's start. */
  readonly unitPages: number;
  /** The page after the last chunk: a touch there continues a sequence. */
  next: number;
  chunkPages: number;
}

/**
 * Gives lazy holes their memory upon the first touch: a page at a time (more in holes of many
 * thousand pages), and in chunks that double while the guest goes through memory in ascending
 * order. One for all vCPUs of a machine: a page that is there, and may have been stored to, is
 * never supplied again.
 */
export class LazyResolver implements FaultResolver {
  readonly name = "lazy";
  readonly #states = new Map<Hole, LazyState>();
  readonly #unitPages: number;

  /** @param maxChunkPages 1 to bring in single units only */
  constructor(
    readonly memory: GuestMemory,
    readonly maxChunkPages: number = MAX_CHUNK_PAGES,
  ) {
    const pages = memory.holes
      .filter(({ kind }) => kind === "lazy")
      .reduce((sum, { sizeBytes }) => sum + sizeBytes / PAGE_BYTES, 0);
    this.#unitPages = 2 ** Math.ceil(Math.log2(Math.max(1, pages / MAX_UNITS)));
  }

  resolve(fault: MemoryFault): Resolution | undefined {
    if (fault.gpa === undefined) return undefined;
    const hole = this.memory.holeAt(fault.gpa);
    if (hole?.kind !== "lazy") return undefined;
    const state = this.#stateOf(hole);
    const { unitPages } = state;
    const pages = hole.sizeBytes / PAGE_BYTES;
    const touched = Math.floor((Number(fault.gpa) - hole.gpa) / PAGE_BYTES);
    if (isPresent(state, touched)) return undefined;
    const first = touched - touched % unitPages;
    state.chunkPages = first === state.next
      ? Math.min(state.chunkPages * 2, Math.max(this.maxChunkPages, unitPages))
      : unitPages;
    let end = first;
    while (end < Math.min(pages, first + state.chunkPages) && !isPresent(state, end)) {
      end = Math.min(pages, end + unitPages);
    }
    this.#supply(hole, first, end);
    for (let page = first; page < end; page++) state.present[page >> 3]! |= 1 << (page & 7);
    state.next = end;
    return { action: "retry", note: `supplied ${hex((end - first) * PAGE_BYTES)} bytes` };
  }

  #stateOf(hole: Hole): LazyState {
    let state = this.#states.get(hole);
    if (!state) {
      const unitPages = this.#unitPages;
      const present = new Uint8Array(Math.ceil(hole.sizeBytes / PAGE_BYTES / 8));
      this.#states.set(hole, state = { present, unitPages, next: -1, chunkPages: unitPages });
    }
    return state;
  }

  #supply(hole: Hole, first: number, end: number): void {
    const offset = first * PAGE_BYTES;
    const sizeBytes = (end - first) * PAGE_BYTES;
    let content: Uint8Array<ArrayBuffer> | undefined;
    if (hole.source) {
      content = new Uint8Array(sizeBytes);
      hole.source.read((hole.sourceOffset ?? 0) + offset, content);
    }
    this.memory.supply(hole.gpa + offset, sizeBytes, content);
  }
}

function isPresent(state: LazyState, page: number): boolean {
  return (state.present[page >> 3]! & (1 << (page & 7))) !== 0;
}

/**
 * Makes a private page shared upon an annotated fault: an implicit conversion request. On a
 * software-protected VM an access takes its kind from the page's attribute (R14), so that the
 * other direction is asked for by hypercall only.
 */
export class AttributesResolver implements FaultResolver {
  readonly name = "attributes";

  /** @param memory whose VM has `KVM_CAP_MEMORY_ATTRIBUTES` */
  constructor(readonly memory: Pick<GuestMemory, "isPrivate" | "setPrivate">) {}

  resolve(fault: MemoryFault): Resolution | undefined {
    if (fault.shape !== "annotated" || fault.gpa === undefined || !fault.private) return undefined;
    if (fault.flags & ~KNOWN_FAULT_FLAGS || !this.memory.isPrivate(fault.gpa)) return undefined;
    this.memory.setPrivate(fault.gpa, fault.sizeBytes, false);
    return { action: "retry", note: "made shared" };
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
