/**
 * Copies of this process's own memory that report inaccessible memory instead of raising a
 * signal: process_vm_readv(2), or, where a sandbox refuses that, a pipe, whose write(2) and
 * read(2) fail with EFAULT likewise.
 *
 * @module
 */

import { EAGAIN, EFAULT, ENOSYS, EPERM } from "./errno.ts";
import { check, errnoCell, libc, O_CLOEXEC, O_NONBLOCK, SystemError } from "./libc.ts";
import { addressOf } from "./memory.ts";

/** What a pipe takes at once in any case (PIPE_BUF). */
const PIECE_BYTES = 4096;

/** The way to copy: known once the first call was refused. */
let pipe: { readonly readEnd: number; readonly writeEnd: number } | undefined;

/**
 * Copies memory of this process.
 *
 * @param address where it is, mapped or not
 * @returns the number of bytes that could be read, 0 when none could
 * @throws {SystemError} for any failure but unreadable memory
 */
export function copyFromSelf(address: bigint, into: Uint8Array<ArrayBuffer>): number {
  if (pipe) return inPieces(address, into, readPiece);
  const [local, remote] = vectors(address, into);
  const result = libc.process_vm_readv(Deno.pid, local, 1n, remote, 1n, 0n);
  if (result !== -1n) return Number(result);
  if (!isRefused("process_vm_readv")) return 0;
  return copyFromSelf(address, into);
}

/** The other direction, into memory that may not be writable. */
export function copyToSelf(address: bigint, bytes: Uint8Array<ArrayBuffer>): number {
  if (pipe) return inPieces(address, bytes, writePiece);
  const [local, remote] = vectors(address, bytes);
  const result = libc.process_vm_writev(Deno.pid, local, 1n, remote, 1n, 0n);
  if (result !== -1n) return Number(result);
  if (!isRefused("process_vm_writev")) return 0;
  return copyToSelf(address, bytes);
}

/** An iovec for each side of the call. */
function vectors(
  address: bigint,
  bytes: Uint8Array<ArrayBuffer>,
): [BigUint64Array, BigUint64Array] {
  const size = BigInt(bytes.byteLength);
  return [new BigUint64Array([addressOf(bytes), size]), new BigUint64Array([address, size])];
}

/**
 * Whether the call itself was refused; then copies go through a pipe from here on.
 *
 * @throws {SystemError} for any other failure than that or inaccessible memory
 */
function isRefused(call: string): boolean {
  const errno = errnoCell[0]!;
  if (errno === EFAULT) return false;
  if (errno !== EPERM && errno !== ENOSYS) throw new SystemError(call, errno);
  const ends = new Int32Array(2);
  check("pipe2", libc.pipe2(ends, O_CLOEXEC | O_NONBLOCK));
  pipe = { readEnd: ends[0]!, writeEnd: ends[1]! };
  return true;
}

type CopyPiece = (address: bigint, bytes: Uint8Array<ArrayBuffer>) => number;

/** Copies piece by piece, up to the first byte that is inaccessible. */
function inPieces(address: bigint, bytes: Uint8Array<ArrayBuffer>, copy: CopyPiece): number {
  let done = 0;
  while (done < bytes.byteLength) {
    const at = address + BigInt(done);
    // A piece is in one page: it is copied whole or not at all.
    const inPage = PIECE_BYTES - Number(at % BigInt(PIECE_BYTES));
    const piece = bytes.subarray(done, Math.min(bytes.byteLength, done + inPage));
    const copied = copy(at, piece);
    done += copied;
    if (copied < piece.byteLength) break;
  }
  return done;
}

function readPiece(address: bigint, into: Uint8Array<ArrayBuffer>): number {
  const { readEnd, writeEnd } = pipe!;
  if (libc.write_from(writeEnd, address, BigInt(into.byteLength)) === -1n) return inaccessible();
  return check("read", libc.read(readEnd, into, into.byteLength));
}

function writePiece(address: bigint, bytes: Uint8Array<ArrayBuffer>): number {
  const { readEnd, writeEnd } = pipe!;
  check("write", Number(libc.write(writeEnd, bytes, BigInt(bytes.byteLength))));
  const result = libc.read_into(readEnd, address, BigInt(bytes.byteLength));
  if (result !== -1n) return Number(result);
  const none = inaccessible();
  // What could not be delivered must not be delivered to the next.
  const rest = new Uint8Array(PIECE_BYTES);
  while (libc.read(readEnd, rest, rest.byteLength) > 0);
  if (errnoCell[0] !== EAGAIN) throw new SystemError("read", errnoCell[0]!);
  return none;
}

/** @throws {SystemError} for any errno but that of inaccessible memory */
function inaccessible(): 0 {
  const errno = errnoCell[0]!;
  if (errno !== EFAULT) throw new SystemError("pipe", errno);
  return 0;
}
