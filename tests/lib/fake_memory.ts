/**
 * Synthetic guest memory: pages of bytes, some of them bad, without KVM and
 * without host memory.
 *
 * @module
 */

import type { ProbedMemory } from "../../src/faults/linear_memory.ts";
import type { HostPageState } from "../../src/memory/host_page.ts";
import { type Gpa, gpaNumber } from "../../src/memory/ram.ts";
import { type Slot, slotAt } from "../../src/memory/slots.ts";
import { PAGE_BYTES, pagePieces } from "../../src/pages.ts";

/** How a page is bad: for every access, or for writes alone. */
export type BadPage = "none" | "readonly";

/** Memory of a few pages. */
export class FakeMemory implements ProbedMemory {
  readonly slots: readonly Slot[];
  /** By the page's GPA. */
  readonly bad = new Map<number, BadPage>();
  readonly #pages = new Map<number, Uint8Array>();

  /** @param slots one of 16 MiB from GPA 0, unless others are given */
  constructor(
    slots: readonly Pick<Slot, "gpa" | "sizeBytes" | "kind">[] = [
      { gpa: 0, sizeBytes: 16 << 20, kind: "ram" },
    ],
  ) {
    this.slots = slots.map((slot, id) => ({ id, offset: slot.gpa, ...slot }));
  }

  slotAt(gpa: Gpa): Slot | undefined {
    return slotAt(this.slots, gpa);
  }

  probe(gpa: Gpa, forWrite: boolean): HostPageState | undefined {
    const slot = this.slotAt(gpa);
    if (!slot) return undefined;
    const bad = this.bad.get(pageNumber(gpa));
    if (bad === "none") return { usable: false, text: "PROT_NONE" };
    if (bad === "readonly" && forWrite && slot.kind !== "rom") {
      return { usable: false, text: "PROT_READ" };
    }
    return { usable: true, text: "mapped" };
  }

  tryRead(gpa: Gpa, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    for (const piece of pagePieces(BigInt(gpa), sizeBytes)) {
      const page = pageNumber(piece.address);
      if (!this.slotAt(page) || this.bad.get(page) === "none") {
        return bytes.subarray(0, piece.offset);
      }
      const start = Number(piece.address) - page;
      const content = this.#pages.get(page)?.subarray(start, start + piece.sizeBytes);
      if (content) bytes.set(content, piece.offset);
    }
    return bytes;
  }

  /** Puts bytes where they are to be, good page or bad. */
  put(gpa: number, bytes: ArrayLike<number>): void {
    for (let i = 0; i < bytes.length; i++) {
      const page = pageNumber(gpa + i);
      let content = this.#pages.get(page);
      if (!content) this.#pages.set(page, content = new Uint8Array(PAGE_BYTES));
      content[gpa + i - page] = bytes[i]!;
    }
  }

  /** Puts an integer, little-endian. */
  putInteger(gpa: number, value: bigint, sizeBytes: 2 | 4 | 8): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    this.put(gpa, bytes.subarray(0, sizeBytes));
  }

  /** Makes a page bad. */
  break(gpa: number, how: BadPage = "none"): this {
    this.bad.set(pageNumber(gpa), how);
    return this;
  }
}

/** Where {@linkcode mapLong} puts its tables. */
export const TABLES = { PML4: 0x1000, PDPT: 0x2000, PD: 0x3000, PT: 0x4000 } as const;
/** A table entry: present, writable, user, accessed, dirty. */
export const ENTRY = 0x67n;
/** The same for a large page. */
export const LARGE = 0xe7n;

/**
 * Adds 4-level tables that map [0, 2 MiB) to itself by 4 KiB pages and [2 MiB, 1 GiB)
 * by 2 MiB pages.
 */
export function mapLong(memory: FakeMemory): FakeMemory {
  const { PML4, PDPT, PD, PT } = TABLES;
  memory.putInteger(PML4, BigInt(PDPT) | ENTRY, 8);
  memory.putInteger(PDPT, BigInt(PD) | ENTRY, 8);
  memory.putInteger(PD, BigInt(PT) | ENTRY, 8);
  for (let i = 1; i < 512; i++) memory.putInteger(PD + 8 * i, BigInt(i << 21) | LARGE, 8);
  for (let i = 0; i < 512; i++) memory.putInteger(PT + 8 * i, BigInt(i << 12) | ENTRY, 8);
  return memory;
}

function pageNumber(gpa: Gpa): number {
  const at = gpaNumber(gpa);
  return at - at % PAGE_BYTES;
}
