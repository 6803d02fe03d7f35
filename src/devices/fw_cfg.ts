/**
 * fw_cfg: items of configuration for the guest, read through a pair of ports or
 * by DMA (QEMU's fw_cfg specification).
 *
 * @module
 */

import { GuestMemoryError } from "../memory/guest_memory.ts";
import type { Device } from "./device.ts";

/** Where the two interfaces are: selector and data, and the DMA address. */
export const FW_CFG_PORTS = {
  registers: { start: 0x510, size: 2 },
  dma: { start: 0x514, size: 8 },
} as const;

/** What the DMA address register reads as: its high half, then its low half. */
const DMA_SIGNATURE = new TextEncoder().encode("QEMU CFG");
/** The structure that the DMA address points to, big-endian: control, length, address. */
const REQUEST_BYTES = 16;
/** DMA control bits. With SELECT the upper half is the selector. */
const DMA = { ERROR: 1, READ: 2, SKIP: 4, SELECT: 8, WRITE: 16 } as const;
/** How much is copied to the guest in one piece. */
const CHUNK_BYTES = 64 * 1024;
const ZEROS = new Uint8Array(CHUNK_BYTES);
/**
 * The most zeros that a request gets from past an item's end, and the bytes after which no more
 * requests are served in one exit: a single REP OUTS starts up to 1024 of them, and nothing can
 * stop the run until they are done.
 */
const MOST_BYTES = 256 * 1024 * 1024;
const EMPTY = new Uint8Array();

/** Guest memory as a device that does DMA accesses it. */
export interface DmaMemory {
  /** @throws {GuestMemoryError} when not all of it is usable RAM */
  read(gpa: bigint, sizeBytes: number): Uint8Array;
  /** @throws {GuestMemoryError} when not all of it is usable RAM */
  write(gpa: bigint, bytes: Uint8Array): void;
}

/** The device, with one for each of its interfaces. All items are read-only. */
export class FwCfg {
  /** Behind ports 0x510 (selector, 16 bits) and 0x511 (data, one byte per read). */
  readonly registers: Device = {
    name: "fw_cfg",
    accessBytes: 2,
    read: (offset, sizeBytes) => offset === 1 && sizeBytes === 1 ? this.#next() : 0,
    write: (offset, sizeBytes, value) => {
      if (offset === 0 && sizeBytes === 2) this.#select(value);
    },
  };
  /** Behind ports 0x514 to 0x51b: the address of a request; its low half starts it. */
  readonly dma: Device = {
    name: "fw_cfg-dma",
    accessBytes: 4,
    read: (offset, sizeBytes) => {
      let value = 0;
      for (let i = 0; i < sizeBytes; i++) value += DMA_SIGNATURE[offset + i]! * 2 ** (8 * i);
      return value;
    },
    write: (offset, sizeBytes, value) => {
      if (sizeBytes !== 4) return;
      if (offset === 0) this.#addressHigh = swap32(value);
      else if (offset === 4) this.#startDma(swap32(value));
    },
  };

  #items: ReadonlyMap<number, Uint8Array> = new Map();
  #item: Uint8Array = EMPTY;
  #offset = 0;
  #addressHigh = 0;
  /** The exit that last did DMA, and how many bytes it copied. */
  #exit = 0;
  #exitBytes = 0;

  /** @param exits the number of exits so far */
  constructor(
    items: ReadonlyMap<number, Uint8Array>,
    readonly memory: DmaMemory,
    readonly exits: () => number,
  ) {
    this.offer(items);
  }

  /** Replaces all items, by their selectors. */
  offer(items: ReadonlyMap<number, Uint8Array>): void {
    this.#items = items;
    this.#select(0);
  }

  #select(selector: number): void {
    this.#item = this.#items.get(selector) ?? EMPTY;
    this.#offset = 0;
  }

  /** Past its end, an item reads as zeros. */
  #next(): number {
    return this.#offset < this.#item.length ? this.#item[this.#offset++]! : 0;
  }

  #startDma(addressLow: number): void {
    const gpa = BigInt(this.#addressHigh) << 32n | BigInt(addressLow);
    this.#addressHigh = 0;
    try {
      const request = this.memory.read(gpa, REQUEST_BYTES);
      const view = new DataView(request.buffer, request.byteOffset, REQUEST_BYTES);
      const done = this.#transfer(view.getUint32(0), view.getUint32(4), view.getBigUint64(8));
      const result = new Uint8Array(4);
      new DataView(result.buffer).setUint32(0, done ? 0 : DMA.ERROR);
      this.memory.write(gpa, result);
    } catch (error) {
      // The request is not in guest RAM: there is nowhere to put an answer.
      if (!(error instanceof GuestMemoryError)) throw error;
    }
  }

  /** @returns whether it succeeded */
  #transfer(control: number, sizeBytes: number, gpa: bigint): boolean {
    if (control & DMA.SELECT) this.#select(control >>> 16);
    if (control & DMA.READ) return this.#copyOut(gpa, sizeBytes);
    if (control & DMA.WRITE) return false;
    if (control & DMA.SKIP) this.#advance(sizeBytes);
    return true;
  }

  #copyOut(gpa: bigint, sizeBytes: number): boolean {
    const fromItem = Math.min(sizeBytes, this.#item.length - this.#offset);
    if (!this.#mayCopy(sizeBytes, sizeBytes - fromItem)) return false;
    try {
      for (let done = 0; done < sizeBytes;) {
        const piece = done < fromItem
          ? this.#item.subarray(this.#offset).subarray(0, Math.min(CHUNK_BYTES, fromItem - done))
          : ZEROS.subarray(0, sizeBytes - done);
        this.memory.write(gpa + BigInt(done), piece);
        this.#advance(piece.length);
        done += piece.length;
      }
      return true;
    } catch (error) {
      if (error instanceof GuestMemoryError) return false;
      throw error;
    }
  }

  /** Advances in the item, at most to its end. */
  #advance(sizeBytes: number): void {
    this.#offset = Math.min(this.#offset + sizeBytes, this.#item.length);
  }

  #mayCopy(sizeBytes: number, zeros: number): boolean {
    const exit = this.exits();
    if (exit !== this.#exit) this.#exitBytes = 0;
    this.#exit = exit;
    if (zeros > MOST_BYTES || this.#exitBytes > MOST_BYTES) return false;
    this.#exitBytes += sizeBytes;
    return true;
  }
}

/** The ports take big-endian numbers. */
function swap32(value: number): number {
  return ((value & 0xff) << 24 | (value & 0xff00) << 8 | (value >>> 8) & 0xff00 | value >>> 24) >>>
    0;
}
