/**
 * Memory of this process: mappings and views of them. Guest RAM and `kvm_run` are
 * such mappings.
 *
 * Host addresses (HVA) are `bigint`; sizes are `number` of bytes.
 *
 * @module
 */

import { check, cString, errnoCell, libc, SystemError } from "./libc.ts";

/** mmap(2) protections. */
export const PROT = { NONE: 0, READ: 1, WRITE: 2, EXEC: 4 } as const;

/** mmap(2) flags (asm-generic/mman.h). */
export const MAP = {
  SHARED: 0x01,
  PRIVATE: 0x02,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  NORESERVE: 0x4000,
} as const;

/** madvise(2) advice (asm-generic/mman-common.h). */
export const MADV = {
  DONTNEED: 4,
  HUGEPAGE: 14,
  POPULATE_READ: 22,
  POPULATE_WRITE: 23,
} as const;

/** Arguments of mmap(2) besides the size, with their usual defaults. */
export interface MmapOptions {
  /** Where to map: a hint, or with `MAP.FIXED` the exact address. Default 0: anywhere. */
  readonly address?: bigint;
  /** `PROT` bits. Default: read and write. */
  readonly protection?: number;
  /** `MAP` bits. Default: private and anonymous. */
  readonly flags?: number;
  /** The file, or -1 for none. */
  readonly fd?: number;
  /** Offset into the file in bytes. */
  readonly offset?: number;
}

/**
 * mmap(2).
 *
 * @returns the host virtual address
 * @throws {SystemError}
 */
export function mmap(sizeBytes: number, options: MmapOptions = {}): bigint {
  const address = libc.mmap(
    options.address ?? 0n,
    BigInt(sizeBytes),
    options.protection ?? PROT.READ | PROT.WRITE,
    options.flags ?? MAP.PRIVATE | MAP.ANONYMOUS,
    options.fd ?? -1,
    BigInt(options.offset ?? 0),
  );
  if (address === 0xffff_ffff_ffff_ffffn) {
    throw new SystemError(`mmap(0x${sizeBytes.toString(16)} bytes)`, errnoCell[0]!);
  }
  return address;
}

/** munmap(2). @throws {SystemError} */
export function munmap(address: bigint, sizeBytes: number): void {
  check("munmap", libc.munmap(address, BigInt(sizeBytes)));
}

/** mprotect(2) with `PROT` bits. @throws {SystemError} */
export function mprotect(address: bigint, sizeBytes: number, protection: number): void {
  check("mprotect", libc.mprotect(address, BigInt(sizeBytes), protection));
}

/**
 * Memory of this process as an `ArrayBuffer`. The buffer does not own the memory:
 * detach it with {@linkcode releaseView} before you unmap.
 */
export function viewMemory(address: bigint, sizeBytes: number): ArrayBuffer {
  return Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(address)!, sizeBytes, 0);
}

/**
 * Detaches a buffer from {@linkcode viewMemory}: every typed array on it gets
 * the length 0, so that a late access gives `undefined` or a `TypeError` instead of
 * reading unmapped memory.
 */
export function releaseView(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}

/**
 * The host virtual address of a buffer's first byte. Asking for the `ArrayBuffer`
 * moves a small array's bytes off the garbage-collected heap, where they stay.
 */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  const start = Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes.buffer));
  return start + BigInt(bytes.byteOffset);
}

/** memfd_create(2) with MFD_CLOEXEC. @returns the file descriptor. @throws {SystemError} */
export function memfdCreate(name: string): number {
  return check("memfd_create", libc.memfd_create(cString(name), 1));
}

/** ftruncate(2). @throws {SystemError} */
export function ftruncate(fd: number, sizeBytes: number): void {
  check("ftruncate", libc.ftruncate(fd, BigInt(sizeBytes)));
}

/** Copies bytes to memory that is known to be mapped and writable (memcpy(3)). */
export function copyIn(address: bigint, bytes: Uint8Array): void {
  if (bytes.length > 0) {
    libc.memcpy(address, bytes as Uint8Array<ArrayBuffer>, BigInt(bytes.length));
  }
}

/** Copies bytes from memory that is known to be mapped and readable (memcpy(3)). */
export function copyOut(address: bigint, into: Uint8Array<ArrayBuffer>): void {
  if (into.length > 0) libc.memcpy_out(into, address, BigInt(into.length));
}

/**
 * Moves a mapping onto another address, whose mapping it replaces in one step
 * (mremap(2) with MREMAP_MAYMOVE and MREMAP_FIXED).
 *
 * @throws {SystemError}
 */
export function moveMapping(from: bigint, sizeBytes: number, to: bigint): void {
  const size = BigInt(sizeBytes);
  if (libc.mremap(from, size, size, 3, to) === 0xffff_ffff_ffff_ffffn) {
    throw new SystemError("mremap", errnoCell[0]!);
  }
}

/**
 * madvise(2) that returns the errno, 0 for success: for advice whose
 * failure is the answer, such as `MADV.POPULATE_READ`.
 */
export function tryMadvise(address: bigint, sizeBytes: number, advice: number): number {
  return libc.madvise(address, BigInt(sizeBytes), advice) === -1 ? errnoCell[0]! : 0;
}
