/**
 * Linux ioctl request numbers: direction, argument size, type and number in
 * 32 bits, as `<asm-generic/ioctl.h>` packs them (x86 uses the generic form).
 *
 * ```text
 * 31  30 29        16 15     8 7      0
 * [ dir ][   size   ][  type ][  nr   ]
 * ```
 *
 * @module
 */

import { type Layout, sizeOf } from "./layout.ts";

const NONE = 0;
const WRITE = 1;
const READ = 2;

/** The largest argument size that the 14 bits of a request number hold. */
const MAX_SIZE = 0x3fff;

function request(dir: number, type: number, nr: number, arg: number | Layout): number {
  const size = typeof arg === "number" ? arg : sizeOf(arg);
  if (size > MAX_SIZE) {
    throw new RangeError(`ioctl 0x${nr.toString(16)}: argument of ${size} bytes, at most 16383`);
  }
  return ((dir << 30) | (size << 16) | (type << 8) | nr) >>> 0;
}

/**
 * `_IO(type, nr)`: a request whose argument, if any, is a plain value.
 *
 * @example
 * ```ts
 * import { io } from "./ioctl.ts";
 * console.log(io(0xae, 0x80).toString(16)); // ae80, KVM_RUN
 * ```
 */
export function io(type: number, nr: number): number {
  return request(NONE, type, nr, 0);
}

/**
 * `_IOR(type, nr, T)`: the kernel writes a `T` that the caller reads. `arg` is
 * `sizeof(T)` in bytes, or its layout.
 *
 * @example
 * ```ts
 * import { ior } from "./ioctl.ts";
 * console.log(ior(0xae, 0x81, 144).toString(16)); // 8090ae81, KVM_GET_REGS
 * ```
 *
 * @throws {RangeError} when the size does not fit in 14 bits.
 */
export function ior(type: number, nr: number, arg: number | Layout): number {
  return request(READ, type, nr, arg);
}

/**
 * `_IOW(type, nr, T)`: the kernel reads a `T` that the caller wrote. `arg` is
 * `sizeof(T)` in bytes, or its layout.
 *
 * @example
 * ```ts
 * import { iow } from "./ioctl.ts";
 * console.log(iow(0xae, 0x82, 144).toString(16)); // 4090ae82, KVM_SET_REGS
 * ```
 *
 * @throws {RangeError} when the size does not fit in 14 bits.
 */
export function iow(type: number, nr: number, arg: number | Layout): number {
  return request(WRITE, type, nr, arg);
}

/**
 * `_IOWR(type, nr, T)`: the kernel both reads and writes a `T`. `arg` is
 * `sizeof(T)` in bytes, or its layout.
 *
 * @example
 * ```ts
 * import { iowr } from "./ioctl.ts";
 * console.log(iowr(0xae, 0x85, 24).toString(16)); // c018ae85, KVM_TRANSLATE
 * ```
 *
 * @throws {RangeError} when the size does not fit in 14 bits.
 */
export function iowr(type: number, nr: number, arg: number | Layout): number {
  return request(READ | WRITE, type, nr, arg);
}
