/**
 * Addresses as an experiment gives them: numbers or bigints, checked once.
 *
 * @module
 */

import { hex } from "../hex.ts";

/**
 * An address: a number where it is below 2^53, or a bigint.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.memory.setU16(0x1000, 0xaa55);
 * console.log(vm.memory.u16(0x1000n) === vm.memory.u16(0x1000)); // true
 * ```
 */
export type Address = number | bigint;

/**
 * An address as a bigint.
 *
 * @param what was given, for the message: `entry`
 * @throws {RangeError} for anything else
 */
export function toAddress(what: string, address: Address): bigint {
  if (typeof address === "bigint") {
    if (address >= 0n && address < 1n << 64n) return address;
  } else if (Number.isSafeInteger(address) && address >= 0) return BigInt(address);
  else if (Number.isInteger(address) && address > 0) {
    throw new RangeError(
      `${what}: ${hex(address)} is too large for a number; write it as a bigint`,
    );
  }
  throw new RangeError(`${what}: ${address} is not an address, an integer from 0 to 2^64 - 1`);
}

/** A size in bytes. @throws {RangeError} for anything else */
export function checkSize(what: string, sizeBytes: number): number {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes >= 0) return sizeBytes;
  throw new RangeError(`${what}: ${sizeBytes} is not a size in bytes`);
}

/** Checks what a program without types may get wrong. @throws {TypeError} */
export function checkBytes(what: string, bytes: Uint8Array): void {
  if (bytes instanceof Uint8Array) return;
  throw new TypeError(`${what}: bytes are a Uint8Array, such as Deno.readFileSync(path) gives`);
}

/** A range of addresses in numbers, as the buses have them. */
export interface NumericRange {
  /** The first address. */
  readonly start: number;
  /** How many. */
  readonly size: number;
}

/**
 * A range of ports or GPAs.
 *
 * @param noun what there are: `ports`
 * @param end where they end
 * @throws {RangeError} for one that is empty or not below `end`
 */
export function toRange(
  what: string,
  range: Address | { readonly start: Address; readonly size: Address },
  noun: string,
  end: number,
): NumericRange {
  const { start, size } = typeof range === "object" ? range : { start: range, size: 1 };
  const first = toAddress(what, start);
  const count = toAddress(what, size);
  if (count > 0n && first + count <= BigInt(end)) {
    return { start: Number(first), size: Number(count) };
  }
  throw new RangeError(
    `${what}: no such ${noun}: [${hex(first)}, +${hex(count)}); there are 0 to ${hex(end - 1)}`,
  );
}
