/**
 * Guest memory as an experiment sees it: bytes, integers and C strings by address.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { offsetInPage, PAGE_BYTES } from "../pages.ts";
import { type GuestMemory, GuestMemoryError } from "../memory/guest_memory.ts";
import { type Address, checkBytes, checkSize, toAddress } from "./address.ts";
import { fieldsText, showAs, sizeText } from "./inspect.ts";

/**
 * Guest memory, by GPA or by linear address. Integers are little-endian, as the guest has
 * them, and need not be aligned.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * const { memory } = vm;
 * memory.setU32(0x1000, 0x1122_3344);
 * console.log(memory.u8(0x1000), memory.u16(0x1002)); // 68 4386
 * memory.setU64(0x1008, -1);
 * console.log(memory.u64(0x1008)); // 18446744073709551615n
 * memory.setCString(0x2000, "hello");
 * console.log(memory.cString(0x2000), memory.read(0x2000, 6)); // hello Uint8Array [..., 0]
 * ```
 */
export interface AddressSpace {
  /** Copies bytes out. @throws {GuestMemoryError} */
  read(address: Address, sizeBytes: number): Uint8Array<ArrayBuffer>;
  /** Copies bytes in. @throws {GuestMemoryError} */
  write(address: Address, bytes: Uint8Array): void;
  /** Reads a byte. @throws {GuestMemoryError} */
  u8(address: Address): number;
  /** Reads 2 bytes. @throws {GuestMemoryError} */
  u16(address: Address): number;
  /** Reads 4 bytes. @throws {GuestMemoryError} */
  u32(address: Address): number;
  /** Reads 8 bytes. @throws {GuestMemoryError} */
  u64(address: Address): bigint;
  /** Writes a byte. @throws {GuestMemoryError} @throws {RangeError} where the value does not fit */
  setU8(address: Address, value: number | bigint): void;
  /** Writes 2 bytes. @throws {GuestMemoryError} @throws {RangeError} where the value does not fit */
  setU16(address: Address, value: number | bigint): void;
  /** Writes 4 bytes. @throws {GuestMemoryError} @throws {RangeError} where the value does not fit */
  setU32(address: Address, value: number | bigint): void;
  /** Writes 8 bytes. @throws {GuestMemoryError} @throws {RangeError} where the value does not fit */
  setU64(address: Address, value: number | bigint): void;
  /**
   * Reads UTF-8 text that ends with a NUL byte.
   *
   * @param maxBytes how far to look for the NUL. Default 4096
   * @throws {GuestMemoryError}
   * @throws {RangeError} when there is no NUL
   */
  cString(address: Address, maxBytes?: number): string;
  /** Writes UTF-8 text and a NUL byte. @throws {GuestMemoryError} */
  setCString(address: Address, text: string): void;
}

/**
 * Guest RAM by guest physical address (GPA). Every access is checked.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.memory.write(0x8000, new Uint8Array([0xf4]));
 * console.log(vm.memory.read(0x8000n, 1)[0]); // 244
 * ```
 */
export interface GuestRam extends AddressSpace {
  /** All of it, in bytes. */
  readonly sizeBytes: number;
}

/** What moves the bytes of an {@linkcode AddressSpace}. */
export interface ByteMover {
  /** Copies bytes out. @throws {GuestMemoryError} */
  read(address: bigint, sizeBytes: number): Uint8Array<ArrayBuffer>;
  /** Copies bytes in. @throws {GuestMemoryError} */
  write(address: bigint, bytes: Uint8Array): void;
}

const DEFAULT_STRING_BYTES = 4096;

/** {@linkcode AddressSpace} over anything that moves bytes. */
export class MemoryView implements AddressSpace {
  readonly #bytes: ByteMover;

  constructor(bytes: ByteMover) {
    this.#bytes = bytes;
  }

  read(address: Address, sizeBytes: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.read(toAddress("read", address), checkSize("read", sizeBytes));
  }

  write(address: Address, bytes: Uint8Array): void {
    checkBytes("write", bytes);
    this.#bytes.write(toAddress("write", address), bytes);
  }

  u8(address: Address): number {
    return this.#load(address, 1).getUint8(0);
  }

  u16(address: Address): number {
    return this.#load(address, 2).getUint16(0, true);
  }

  u32(address: Address): number {
    return this.#load(address, 4).getUint32(0, true);
  }

  u64(address: Address): bigint {
    return this.#load(address, 8).getBigUint64(0, true);
  }

  setU8(address: Address, value: number | bigint): void {
    this.#store(address, 1, value);
  }

  setU16(address: Address, value: number | bigint): void {
    this.#store(address, 2, value);
  }

  setU32(address: Address, value: number | bigint): void {
    this.#store(address, 4, value);
  }

  setU64(address: Address, value: number | bigint): void {
    this.#store(address, 8, value);
  }

  cString(address: Address, maxBytes: number = DEFAULT_STRING_BYTES): string {
    const start = toAddress("cString", address);
    const most = checkSize("cString", maxBytes);
    const text: number[] = [];
    // By pages: memory may end after the NUL.
    while (text.length < most) {
      const at = start + BigInt(text.length);
      const piece = this.#bytes.read(
        at,
        Math.min(most - text.length, PAGE_BYTES - offsetInPage(at)),
      );
      const end = piece.indexOf(0);
      text.push(...(end < 0 ? piece : piece.subarray(0, end)));
      if (end >= 0) return new TextDecoder().decode(Uint8Array.from(text));
    }
    throw new RangeError(`cString: no NUL within ${most} bytes of ${hex(start)}`);
  }

  setCString(address: Address, text: string): void {
    this.write(address, new TextEncoder().encode(`${text}\0`));
  }

  #load(address: Address, sizeBytes: number): DataView {
    return new DataView(this.read(address, sizeBytes).buffer);
  }

  #store(address: Address, sizeBytes: number, value: number | bigint): void {
    const word = new DataView(new ArrayBuffer(8));
    word.setBigUint64(0, BigInt.asUintN(64, integer(value, 8 * sizeBytes)), true);
    this.write(address, new Uint8Array(word.buffer, 0, sizeBytes));
  }
}

/** {@linkcode GuestRam} of a machine that may be replaced. */
export class GuestRamView extends MemoryView implements GuestRam {
  readonly #memory: () => GuestMemory;

  static {
    showAs<GuestRamView>(
      this.prototype,
      (self) => fieldsText("GuestRam", { size: sizeText(self.sizeBytes) }),
    );
  }

  /** @param memory gives the guest's memory, which may change */
  constructor(memory: () => GuestMemory) {
    super({
      read: (gpa, sizeBytes) => {
        const ram = memory();
        if (sizeBytes > ram.sizeBytes) throw new GuestMemoryError("read", gpa, sizeBytes);
        return ram.read(gpa, sizeBytes);
      },
      write: (gpa, bytes) => memory().write(gpa, bytes),
    });
    this.#memory = memory;
  }

  get sizeBytes(): number {
    return this.#memory().sizeBytes;
  }
}

/** An integer that fits in `bits`, with or without a sign. @throws {RangeError} */
function integer(value: number | bigint, bits: number): bigint {
  if (typeof value === "bigint" || Number.isInteger(value)) {
    const exact = BigInt(value);
    if (exact >= -(1n << BigInt(bits - 1)) && exact < 1n << BigInt(bits)) return exact;
  }
  throw new RangeError(`${value} is not an integer of ${bits} bits`);
}
