/**
 * The UAPI's counted arrays: a header that begins with a 32-bit count, then
 * that many structs (`kvm_cpuid2`, `kvm_msrs`).
 *
 * @module
 */

import {
  decode,
  encode,
  type Layout,
  type PartialStruct,
  type StructOf,
} from "../../ffi/layout.ts";
import { KVM_CPUID_ENTRY2, KVM_MSR_ENTRY } from "../../ffi/vcpu_structs.ts";

/** A counted array's shape. */
export interface Counted<L extends Layout> {
  /** Bytes before the first entry, of which the first four are the count. */
  readonly headerBytes: number;
  /** One entry. */
  readonly entry: L;
}

/** `struct kvm_cpuid2`. */
export const CPUID: Counted<typeof KVM_CPUID_ENTRY2> = { headerBytes: 8, entry: KVM_CPUID_ENTRY2 };
/** `struct kvm_msrs`. */
export const MSRS: Counted<typeof KVM_MSR_ENTRY> = { headerBytes: 8, entry: KVM_MSR_ENTRY };

/** One CPUID leaf or subleaf (`struct kvm_cpuid_entry2`). */
export type CpuidEntry = StructOf<typeof KVM_CPUID_ENTRY2>;

/** A model-specific register's number and value. */
export interface Msr {
  readonly index: number;
  readonly data: bigint;
}

/** Room for `count` entries, for the kernel to fill. */
export function emptyCounted<L extends Layout>(
  { headerBytes, entry }: Counted<L>,
  count: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerBytes + count * entry.size);
  new DataView(bytes.buffer).setUint32(0, count, true);
  return bytes;
}

/** Lays entries out after a header that counts them. */
export function encodeCounted<L extends Layout>(
  shape: Counted<L>,
  entries: readonly PartialStruct<L>[],
): Uint8Array<ArrayBuffer> {
  const { headerBytes, entry } = shape;
  const bytes = emptyCounted(shape, entries.length);
  entries.forEach((value, i) => encode(entry, value, bytes, headerBytes + i * entry.size));
  return bytes;
}

/** Reads the entries, by default as many as the header counts. */
export function decodeCounted<L extends Layout>(
  { headerBytes, entry }: Counted<L>,
  bytes: Uint8Array<ArrayBuffer>,
  count: number = new DataView(bytes.buffer).getUint32(0, true),
): StructOf<L>[] {
  return Array.from(
    { length: count },
    (_, i) => decode(entry, bytes, headerBytes + i * entry.size),
  );
}
