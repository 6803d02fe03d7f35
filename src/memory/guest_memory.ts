/**
 * A guest's RAM: where it is in guest physical memory, and safe access to it.
 *
 * RAM above 3 GiB goes around the hole that PC machines leave below 4 GiB for
 * devices, so that a guest of 5 GiB has RAM at [0, 3 GiB) and [4 GiB, 6 GiB).
 *
 * @module
 */

import { MAP, mmap, munmap, releaseView, viewMemory } from "../../ffi/libc.ts";
import { hex } from "../hex.ts";
import type { Vm } from "../kvm/vm.ts";

/** The host's and the guest's smallest page, in bytes. */
export const PAGE_BYTES = 4096;
/** Where RAM below the device hole ends at most. */
export const LOW_RAM_END = 0xc000_0000;
/** Where RAM goes on above the device hole. */
export const HIGH_RAM_START = 0x1_0000_0000;

/** A part of guest physical memory that is RAM. */
export interface RamRange {
  /** Its first guest physical address. */
  readonly gpa: number;
  readonly sizeBytes: number;
}

/** An access to guest memory by the VMM that is not within RAM. */
export class GuestMemoryError extends Error {
  override readonly name = "GuestMemoryError";
  constructor(what: string, readonly gpa: bigint, readonly sizeBytes: number) {
    super(`${what}: [${hex(gpa)}, +${hex(sizeBytes)}) is not in guest RAM`);
  }
}

/**
 * Where RAM of some size goes.
 *
 * @param sizeBytes the RAM's size in bytes
 */
export function ramLayout(sizeBytes: number): RamRange[] {
  if (sizeBytes <= LOW_RAM_END) return [{ gpa: 0, sizeBytes }];
  return [
    { gpa: 0, sizeBytes: LOW_RAM_END },
    { gpa: HIGH_RAM_START, sizeBytes: sizeBytes - LOW_RAM_END },
  ];
}

/** Whether `[gpa, gpa + sizeBytes)` lies within one range of RAM. */
export function isRam(ranges: readonly RamRange[], gpa: bigint, sizeBytes: number): boolean {
  return ranges.some((range) =>
    gpa >= BigInt(range.gpa) &&
    gpa + BigInt(sizeBytes) <= BigInt(range.gpa) + BigInt(range.sizeBytes)
  );
}

/**
 * Guest RAM, reserved in one piece but given to the guest page by page as it is
 * touched. Every access is checked against the layout.
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
  readonly #hva: bigint;
  #bytes: Uint8Array<ArrayBuffer>;

  /**
   * @param sizeBytes a multiple of the page size
   * @throws {SystemError} when the host cannot reserve that much
   */
  constructor(readonly sizeBytes: number) {
    this.ranges = ramLayout(sizeBytes);
    this.#hva = mmap(sizeBytes, { flags: MAP.PRIVATE | MAP.ANONYMOUS | MAP.NORESERVE });
    this.#bytes = new Uint8Array(viewMemory(this.#hva, sizeBytes));
  }

  [Symbol.dispose](): void {
    if (this.#bytes.length === 0) return;
    releaseView(this.#bytes.buffer);
    munmap(this.#hva, this.sizeBytes);
  }

  /** Gives a VM the RAM, a memory slot for each range. */
  attach(vm: Vm): void {
    let offset = 0;
    this.ranges.forEach(({ gpa, sizeBytes }, slot) => {
      vm.setUserMemoryRegion({
        slot,
        gpa: BigInt(gpa),
        sizeBytes,
        hva: this.#hva + BigInt(offset),
      });
      offset += sizeBytes;
    });
  }

  /** Copies bytes out. @throws {GuestMemoryError} */
  read(gpa: bigint, sizeBytes: number): Uint8Array<ArrayBuffer> {
    return this.#view("read", gpa, sizeBytes).slice();
  }

  /** Copies bytes in. @throws {GuestMemoryError} */
  write(gpa: bigint, bytes: Uint8Array): void {
    this.#view("write", gpa, bytes.length).set(bytes);
  }

  #view(what: string, gpa: bigint, sizeBytes: number): Uint8Array<ArrayBuffer> {
    let offset = 0;
    for (const range of this.ranges) {
      if (isRam([range], gpa, sizeBytes)) {
        const start = offset + Number(gpa) - range.gpa;
        return this.#bytes.subarray(start, start + sizeBytes);
      }
      offset += range.sizeBytes;
    }
    throw new GuestMemoryError(what, gpa, sizeBytes);
  }
}
