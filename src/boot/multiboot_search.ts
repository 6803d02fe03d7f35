/**
 * The search for Multiboot headers of both versions in a file, and for those that
 * a loader does not find: at a wrong place, or with a wrong checksum.
 *
 * @module
 */

import { hex } from "../hex.ts";

/** How the headers of a version are found. */
export interface HeaderKind {
  readonly name: string;
  readonly magic: number;
  /** How many 32-bit words from the magic on have the sum 0; the last one is the checksum. */
  readonly summed: number;
  readonly alignment: number;
  /** The header lies within the first `withinBytes` of the file. */
  readonly withinBytes: number;
}

/** Multiboot 0.6.96, section 3.1. */
export const MULTIBOOT_1: HeaderKind = {
  name: "Multiboot",
  magic: 0x1bad_b002,
  summed: 3,
  alignment: 4,
  withinBytes: 8192,
};
/** Multiboot 2.0, section 3.1. */
export const MULTIBOOT_2: HeaderKind = {
  name: "Multiboot 2",
  magic: 0xe852_50d6,
  summed: 4,
  alignment: 8,
  withinBytes: 32768,
};

/** How much of a file is searched for misplaced headers. */
const SEARCHED_BYTES = 4 << 20;

/** The offset of a version's header in a file, or `undefined` if there is none. */
export function findHeader(image: Uint8Array, kind: HeaderKind): number | undefined {
  const { alignment, withinBytes } = kind;
  const isRight = (offset: number, sum: number): boolean => offset % alignment === 0 && sum === 0;
  return search(image, kind, withinBytes, isRight)?.offset;
}

/**
 * Why a file's Multiboot header is not found, where it seems to have one.
 *
 * @example
 * ```ts
 * import { misplacedHeader } from "./multiboot_search.ts";
 * const image = new Uint8Array(new Uint32Array([0, 0x1bad_b002, 0, 0]).buffer);
 * console.log(misplacedHeader(image));
 * // "the Multiboot header at 0x4 is ignored: its checksum is 0x0, not 0xe4524ffe"
 * ```
 */
export function misplacedHeader(image: Uint8Array): string | undefined {
  for (const kind of [MULTIBOOT_1, MULTIBOOT_2]) {
    if (findHeader(image, kind) !== undefined) continue;
    const { name, alignment, withinBytes } = kind;
    const whole = search(image, kind, SEARCHED_BYTES, (_, sum) => sum === 0);
    if (whole) {
      return `the ${name} header at ${hex(whole.offset)} is ignored: it must lie in the first ` +
        `${withinBytes} bytes of the file, ${alignment}-byte aligned`;
    }
    const wrong = search(image, kind, withinBytes, (offset) => offset % alignment === 0);
    if (wrong) {
      const { offset, checksum, sum } = wrong;
      return `the ${name} header at ${hex(offset)} is ignored: its checksum is ` +
        `${hex(checksum)}, not ${hex((checksum - sum) >>> 0)}`;
    }
  }
  return undefined;
}

interface Found {
  readonly offset: number;
  readonly checksum: number;
  readonly sum: number;
}

/** The first magic number whose header passes `isWanted`. */
function search(
  image: Uint8Array,
  { magic, summed }: HeaderKind,
  limit: number,
  isWanted: (offset: number, sum: number) => boolean,
): Found | undefined {
  const searched = image.subarray(0, limit);
  const view = new DataView(searched.buffer, searched.byteOffset, searched.byteLength);
  const last = searched.length - 4 * summed;
  const firstByte = magic & 0xff;
  for (let at = searched.indexOf(firstByte); at >= 0 && at <= last;) {
    if (view.getUint32(at, true) === magic) {
      let sum = 0;
      for (let i = 0; i < summed; i++) sum = (sum + view.getUint32(at + 4 * i, true)) >>> 0;
      const checksum = view.getUint32(at + 4 * (summed - 1), true);
      if (isWanted(at, sum)) return { offset: at, checksum, sum };
    }
    at = searched.indexOf(firstByte, at + 1);
  }
  return undefined;
}
