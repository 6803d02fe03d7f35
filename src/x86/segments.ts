/**
 * Segments as KVM holds them (the descriptor cache of a segment register), for
 * the states in which a vCPU enters an image, and the GDT bytes that say the same.
 * Sources: SDM volume 3A section 3.4.5 (segment descriptors) and "Processor State
 * After Reset"; `struct kvm_segment` in `asm/kvm.h`, whose limit counts bytes even
 * when G is set.
 *
 * @module
 */

import { hex } from "../hex.ts";
import type { KvmSegment } from "../../ffi/vcpu_structs.ts";

/** The type field of a code or data descriptor that the processor has already accessed. */
const TYPE = { code: 0xb, data: 0x3 } as const;

/**
 * A segment as real mode makes it: base is 16 times the selector, limit 64 KiB.
 *
 * @param selector The 16-bit selector.
 * @param type `"code"` for CS, which KVM resets to an executable type.
 *
 * @example
 * ```ts
 * import { realModeSegment } from "./segments.ts";
 * console.log(realModeSegment(0x07c0).base); // 31744n
 * ```
 */
export function realModeSegment(selector: number, type: "code" | "data" = "data"): KvmSegment {
  return {
    base: BigInt(selector) << 4n,
    limit: 0xffff,
    selector,
    type: TYPE[type],
    present: 1,
    dpl: 0,
    db: 0,
    s: 1,
    l: 0,
    g: 0,
    avl: 0,
    unusable: 0,
    padding: 0,
  };
}

/** The options of {@linkcode flatSegment}. */
export interface FlatSegmentOptions {
  /** A readable code segment or a writable data segment. */
  readonly type: "code" | "data";
  /** Operand and address size of the code; long mode ignores a data segment's. */
  readonly bits: 32 | 64;
  /** The selector, which is also the descriptor's place in the GDT. */
  readonly selector: number;
  /** Privilege level, 0 (the default) to 3. */
  readonly dpl?: number;
}

/**
 * A segment with base 0 that covers 4 GiB, or all addresses in 64-bit code.
 *
 * @example
 * ```ts
 * import { flatSegment } from "./segments.ts";
 * const cs = flatSegment({ type: "code", bits: 64, selector: 0x08 });
 * console.log(cs.l, cs.db); // 1 0
 * ```
 */
export function flatSegment(options: FlatSegmentOptions): KvmSegment {
  const long = options.type === "code" && options.bits === 64;
  return {
    base: 0n,
    limit: 0xffffffff,
    selector: options.selector,
    type: TYPE[options.type],
    present: 1,
    dpl: options.dpl ?? 0,
    // A 64-bit code segment must have D clear (SDM 3.4.5, L flag).
    db: long ? 0 : 1,
    s: 1,
    l: long ? 1 : 0,
    g: 1,
    avl: 0,
    unusable: 0,
    padding: 0,
  };
}

const DESCRIPTOR_BYTES = 8;

/** One 8-byte segment descriptor. */
function encodeDescriptor(segment: KvmSegment): bigint {
  const { base, selector } = segment;
  const limit = segment.g ? Math.floor(segment.limit / 4096) : segment.limit;
  const limitInBytes = segment.g ? limit * 4096 + 4095 : limit;
  if (base < 0n || base > 0xffffffffn) {
    throw new RangeError(
      `segment ${hex(selector)}: base ${hex(base)} does not fit in a descriptor's 32 bits`,
    );
  }
  if (limit > 0xfffff || limitInBytes !== segment.limit) {
    throw new RangeError(
      `segment ${hex(selector)}: limit ${hex(segment.limit)} cannot be written with G=${segment.g}`,
    );
  }
  const attributes = segment.type | segment.s << 4 | segment.dpl << 5 | segment.present << 7 |
    segment.avl << 12 | segment.l << 13 | segment.db << 14 | segment.g << 15;
  return (BigInt(limit) & 0xffffn) | (base & 0xffffffn) << 16n | BigInt(attributes) << 40n |
    (BigInt(limit) >> 16n) << 48n | (base >> 24n) << 56n;
}

/**
 * The bytes of a GDT in which every segment stands at the place its selector
 * names; places that no segment claims, the first among them, are null descriptors.
 * The GDT limit to load is the length minus one.
 *
 * @throws {RangeError} when a selector is null or points into an LDT, when two
 * segments want one place with different descriptors, or when a base or limit
 * cannot be written as an 8-byte descriptor.
 *
 * @example
 * ```ts
 * import { encodeGdt, flatSegment } from "./segments.ts";
 * const gdt = encodeGdt([
 *   flatSegment({ type: "code", bits: 32, selector: 0x08 }),
 *   flatSegment({ type: "data", bits: 32, selector: 0x10 }),
 * ]);
 * console.log(gdt.length); // 24
 * ```
 */
export function encodeGdt(segments: readonly KvmSegment[]): Uint8Array {
  const descriptors = new Map<number, bigint>();
  for (const segment of segments) {
    const { selector } = segment;
    const index = selector >> 3;
    if (index === 0 || index > 0x1fff || selector & 4) {
      throw new RangeError(`selector ${hex(selector)} names no place in a GDT`);
    }
    const descriptor = encodeDescriptor(segment);
    if ((descriptors.get(index) ?? descriptor) !== descriptor) {
      throw new RangeError(`two different segments have the selector ${hex(selector)}`);
    }
    descriptors.set(index, descriptor);
  }
  const gdt = new Uint8Array((Math.max(0, ...descriptors.keys()) + 1) * DESCRIPTOR_BYTES);
  const view = new DataView(gdt.buffer);
  for (const [index, descriptor] of descriptors) {
    view.setBigUint64(index * DESCRIPTOR_BYTES, descriptor, true);
  }
  return gdt;
}
