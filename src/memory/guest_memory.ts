/**
 * Guest RAM: the host memory behind it, its memory slots and holes, and checked
 * access by GPA.
 *
 * @module
 */

import { GUEST_MEMFD_FLAG, KVM_MEM, KVM_MEMORY_ATTRIBUTE_PRIVATE } from "../../ffi/kvm_consts.ts";
import { close } from "../../ffi/libc.ts";
import {
  copyIn,
  copyOut,
  ftruncate,
  MAP,
  memfdCreate,
  mmap,
  moveMapping,
  mprotect,
  munmap,
  PROT,
} from "../../ffi/memory.ts";
import { copyFromSelf, copyToSelf } from "../../ffi/self_copy.ts";
import { hex } from "../hex.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import type { Vm } from "../kvm/vm.ts";
import { PAGE_BYTES, pagePieces } from "../pages.ts";
import { cutHoles, type Hole, HoleError, type HoleKind } from "./hole.ts";
import { type HostPageState, probeHostPage } from "./host_page.ts";
import { type Gpa, gpaNumber, isRam, ramLayout, type RamRange } from "./ram.ts";
import { planSlots, type Slot, slotAt } from "./slots.ts";

/** An access to guest memory by the VMM that is not within usable RAM. */
export class GuestMemoryError extends Error {
  /** Its name. */
  override readonly name = "GuestMemoryError";

  /** Where the access was. */
  readonly gpa: bigint;

  /**
   * Says where.
   *
   * @param what was tried: `read`
   */
  constructor(what: string, gpa: Gpa, readonly sizeBytes: number) {
    super(`${what}: [${hex(gpa)}, +${hex(sizeBytes)}) is not in usable guest RAM`);
    this.gpa = BigInt(gpa);
  }
}

/**
 * Where RAM should be in the host's address space: far from where the kernel, the
 * C library and V8 map anything on their own, so that what is unmapped there stays
 * unmapped and never becomes the VMM's memory.
 */
const QUIET = { start: 0x4800_0000_0000n, end: 0x5400_0000_0000n } as const;
/** The least distance between two guests of one process. */
const QUIET_GAP = 1n << 30n;
let nextQuiet: bigint = QUIET.start;

function quietAddress(sizeBytes: number): bigint {
  if (nextQuiet + BigInt(sizeBytes) > QUIET.end) nextQuiet = QUIET.start;
  const address = nextQuiet;
  nextQuiet += (BigInt(sizeBytes) + 2n * QUIET_GAP) & ~(QUIET_GAP - 1n);
  return address;
}

/**
 * Guest RAM, reserved in one piece but given to the guest page by page as it is
 * touched. Every access is checked.
 *
 * @example
 * ```ts
 * import { GuestMemory } from "./guest_memory.ts";
 * using memory = new GuestMemory(1 << 20);
 * memory.write(0x1000n, new Uint8Array([0xf4]));
 * console.log(memory.read(0x1000n, 1)); // Uint8Array [0xf4]
 * ```
 */
export class GuestMemory implements Disposable {
  readonly ranges: readonly RamRange[];
  /** The holes, each within one range of RAM, in ascending order. */
  readonly holes: readonly Hole[];
  /** The memory slots, in ascending order. */
  readonly slots: readonly Slot[];
  /** How often a fault handler has repaired it: an earlier fault may no longer apply. */
  repairs = 0;
  readonly #hva: bigint;
  /** Pages that are private, by their numbers. */
  readonly #privatePages = new Set<number>();
  /** Slots whose guest_memfd was closed. */
  readonly #orphans = new Set<Slot>();
  #vm: Vm | undefined;
  #punched = false;
  #disposed = false;

  /**
   * @param sizeBytes a multiple of the page size
   * @throws {HoleError} for holes that make no sense
   * @throws {SystemError} when the host cannot reserve that much
   */
  constructor(readonly sizeBytes: number, holes: readonly Hole[] = []) {
    this.ranges = ramLayout(sizeBytes);
    this.holes = cutHoles(this.ranges, holes);
    this.slots = planSlots(this.ranges, this.holes);
    this.#hva = mmap(sizeBytes, {
      address: quietAddress(sizeBytes),
      flags: MAP.PRIVATE | MAP.ANONYMOUS | MAP.NORESERVE,
    });
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    munmap(this.#hva, this.sizeBytes);
  }

  /** Sets a VM's memory slots. The VM must be disposed before the memory. */
  attach(vm: Vm): void {
    this.#vm = vm;
    for (const slot of this.slots) {
      if (slot.kind === "gmem") this.#bindGuestMemfd(slot, true);
      else vm.setUserMemoryRegion(this.#region(slot));
    }
  }

  /**
   * Makes the holes bad. Until then they are RAM, so that images can be loaded.
   *
   * @throws {SystemError}
   */
  punch(): void {
    this.#punched = this.holes.length > 0;
    for (const { gpa, sizeBytes, kind } of this.holes) {
      const hva = this.#hvaInRam(gpa)!;
      switch (kind) {
        case "none":
        case "lazy":
        case "gmem": // else KVM's instruction emulator would still reach the RAM
          mprotect(hva, sizeBytes, PROT.NONE);
          break;
        case "readonly":
          mprotect(hva, sizeBytes, PROT.READ);
          break;
        case "unmapped":
          if (hva < QUIET.start || hva >= QUIET.end) {
            throw new HoleError(
              `the hole at ${hex(gpa)}: the host gave no address at which to unmap safely; ` +
                "use the kind none",
            );
          }
          munmap(hva, sizeBytes);
          break;
        case "truncated":
          mapTruncatedFile(hva, sizeBytes);
          break;
        case "private":
          this.setPrivate(gpa, BigInt(sizeBytes), true);
          break;
      }
    }
  }

  /** The slot that covers a GPA. */
  slotAt(gpa: Gpa): Slot | undefined {
    return slotAt(this.slots, gpa);
  }

  /** The host virtual address behind a GPA, where a slot covers it. */
  hvaAt(gpa: Gpa): bigint | undefined {
    if (this.#disposed) throw new DisposedError("guest memory");
    const slot = this.slotAt(gpa);
    return slot && this.#hva + BigInt(slot.offset + gpaNumber(gpa) - slot.gpa);
  }

  /** The hole that a GPA is in. */
  holeAt(gpa: Gpa): Hole | undefined {
    const at = gpaNumber(gpa);
    return this.holes.find((hole) => at >= hole.gpa && at < hole.gpa + hole.sizeBytes);
  }

  /**
   * Whether the host can serve an access to the page at a GPA, without making it.
   *
   * @returns `undefined` where no slot covers the GPA
   */
  probe(gpa: Gpa, forWrite: boolean): HostPageState | undefined {
    const slot = this.slotAt(gpa);
    if (!slot) return undefined;
    if (this.#orphans.has(slot)) return { usable: false, text: "guest_memfd closed" };
    const at = gpaNumber(gpa);
    if (this.isPrivate(at)) return { usable: false, text: "private, without a guest_memfd" };
    // A write to a read-only slot never reaches the host memory.
    const writes = forWrite && slot.kind !== "rom";
    return probeHostPage(
      this.hvaAt(at - at % PAGE_BYTES)!,
      writes,
      HOLE_STATES[this.holeAt(at)?.kind ?? "noslot"],
    );
  }

  /** Copies bytes out. @throws {GuestMemoryError} */
  read(gpa: Gpa, sizeBytes: number): Uint8Array<ArrayBuffer> {
    if (!this.#punched) {
      const bytes = new Uint8Array(sizeBytes);
      copyOut(this.#mapped("read", gpa, sizeBytes), bytes);
      return bytes;
    }
    const bytes = this.tryRead(gpa, sizeBytes);
    if (bytes.length < sizeBytes) throw new GuestMemoryError("read", gpa, sizeBytes);
    return bytes;
  }

  /** Copies bytes in. @throws {GuestMemoryError} */
  write(gpa: Gpa, bytes: Uint8Array): void {
    if (!this.#punched) {
      copyIn(this.#mapped("write", gpa, bytes.length), bytes);
      return;
    }
    const hva = this.#reachable(gpa, bytes.length);
    if (hva === undefined || copyToSelf(hva, bytes.slice()) < bytes.length) {
      throw new GuestMemoryError("write", gpa, bytes.length);
    }
  }

  /** Copies out as many bytes from a GPA as can be read: fewer than asked for, or none, near a hole. */
  tryRead(gpa: Gpa, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(sizeBytes);
    for (const piece of pagePieces(BigInt(gpa), sizeBytes)) {
      const part = bytes.subarray(piece.offset, piece.offset + piece.sizeBytes);
      const hva = this.#reachable(piece.address, part.length);
      const got = hva === undefined ? 0 : copyFromSelf(hva, part);
      if (got < part.length) return bytes.subarray(0, piece.offset + got);
    }
    return bytes;
  }

  /**
   * Backs a part of a hole with new memory: zeros, or the bytes given and zeros.
   * A guest that runs meanwhile sees none or all of it.
   *
   * @param gpa page-aligned, with the size within one hole
   * @throws {SystemError}
   */
  supply(gpa: Gpa, sizeBytes: number, content?: Uint8Array<ArrayBuffer>): void {
    const hva = this.hvaAt(gpa)!;
    if (!content) {
      mprotect(hva, sizeBytes, PROT.READ | PROT.WRITE);
      return;
    }
    const fresh = mmap(sizeBytes);
    copyIn(fresh, content);
    moveMapping(fresh, sizeBytes, hva);
  }

  /** Whether a slot's guest_memfd was closed. */
  isOrphan(slot: Slot): boolean {
    return this.#orphans.has(slot);
  }

  /** Binds a new, empty guest_memfd to a slot whose own was closed. @throws {SystemError} */
  rebind(slot: Slot): void {
    this.#vm!.setUserMemoryRegion({ ...this.#region(slot), sizeBytes: 0 });
    this.#bindGuestMemfd(slot, false);
    this.#orphans.delete(slot);
  }

  /**
   * Makes pages of a `private` slot private or shared (`KVM_SET_MEMORY_ATTRIBUTES`). Behind them
   * is memory that only shared pages show: a private one would need a guest_memfd (R14).
   *
   * @throws {SystemError}
   */
  setPrivate(gpa: Gpa, sizeBytes: bigint, isPrivate: boolean): void {
    this.#vm!.setMemoryAttributes(
      BigInt(gpa),
      sizeBytes,
      isPrivate ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0n,
    );
    const first = Math.floor(gpaNumber(gpa) / PAGE_BYTES);
    const end = first + Number(sizeBytes) / PAGE_BYTES;
    for (let page = first; page < end; page++) {
      if (isPrivate) this.#privatePages.add(page);
      else this.#privatePages.delete(page);
    }
  }

  /** Whether the page at a GPA is private. */
  isPrivate(gpa: Gpa): boolean {
    return this.#privatePages.has(Math.floor(gpaNumber(gpa) / PAGE_BYTES));
  }

  #region(slot: Slot) {
    return {
      slot: slot.id,
      flags: slot.kind === "rom" ? KVM_MEM.READONLY : 0,
      gpa: BigInt(slot.gpa),
      sizeBytes: slot.sizeBytes,
      hva: this.#hva + BigInt(slot.offset),
    };
  }

  /** Binds a guest_memfd to a slot: one that is closed at once, or one that the VMM maps too. */
  #bindGuestMemfd(slot: Slot, orphan: boolean): void {
    const vm = this.#vm!;
    const flags = GUEST_MEMFD_FLAG.MMAP | GUEST_MEMFD_FLAG.INIT_SHARED;
    const memfd = vm.createGuestMemfd(slot.sizeBytes, flags);
    vm.setUserMemoryRegion2({
      ...this.#region(slot),
      flags: KVM_MEM.GUEST_MEMFD,
      guestMemfd: memfd.fd,
      guestMemfdOffset: 0n,
    });
    if (orphan) {
      memfd[Symbol.dispose]();
      this.#orphans.add(slot);
    } else {
      const address = this.#hva + BigInt(slot.offset);
      mmap(slot.sizeBytes, { address, flags: MAP.SHARED | MAP.FIXED, fd: memfd.fd });
    }
  }

  /** The host address of bytes that are all in one slot with host memory behind it. */
  #reachable(gpa: Gpa, sizeBytes: number): bigint | undefined {
    const slot = this.slotAt(gpa);
    if (!slot || this.#orphans.has(slot)) return undefined;
    const end = gpaNumber(gpa) + sizeBytes;
    if (this.#privatePages.size > 0 && this.#hasPrivate(gpaNumber(gpa), end)) return undefined;
    return end <= slot.gpa + slot.sizeBytes ? this.hvaAt(gpa) : undefined;
  }

  #hasPrivate(start: number, end: number): boolean {
    for (let at = start; at < end; at += PAGE_BYTES - at % PAGE_BYTES) {
      if (this.isPrivate(at)) return true;
    }
    return false;
  }

  #hvaInRam(gpa: number): bigint | undefined {
    let offset = 0;
    for (const range of this.ranges) {
      const at = gpa - range.gpa;
      if (at >= 0 && at < range.sizeBytes) return this.#hva + BigInt(offset + at);
      offset += range.sizeBytes;
    }
    return undefined;
  }

  /** The host address of RAM before there are holes. */
  #mapped(what: string, gpa: Gpa, sizeBytes: number): bigint {
    if (this.#disposed) throw new DisposedError("guest memory");
    if (!isRam(this.ranges, gpa, sizeBytes)) throw new GuestMemoryError(what, gpa, sizeBytes);
    return this.#hvaInRam(gpaNumber(gpa))!;
  }
}

/** The host memory's state as text, by the kind of the hole. */
const HOLE_STATES: Partial<Record<HoleKind, string>> = {
  none: "PROT_NONE",
  unmapped: "unmapped",
  readonly: "PROT_READ",
  truncated: "past the end of its file",
  lazy: "PROT_NONE",
};

/** Maps an empty file: every access is past its end. */
function mapTruncatedFile(hva: bigint, sizeBytes: number): void {
  const fd = memfdCreate("vmexit-truncated");
  try {
    ftruncate(fd, sizeBytes);
    mmap(sizeBytes, { address: hva, flags: MAP.SHARED | MAP.FIXED, fd });
    ftruncate(fd, 0);
  } finally {
    close(fd);
  }
}
