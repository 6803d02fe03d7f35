/**
 * The C library: the few functions that a VMM needs, through `Deno.dlopen`.
 *
 * Every wrapper performs one call and, when it fails, reads `errno` before
 * anything else can run on this thread. `errno` belongs to the OS thread, and a
 * synchronous FFI call runs on the thread of its isolate, so the cell is looked
 * up once per isolate and then read as plain memory, without another call.
 *
 * Host addresses (HVA) are `bigint`; sizes are `number` of bytes.
 *
 * @module
 */

import { EFAULT, errnoName, errnoText } from "./errno.ts";

/** The functions, but for the one that the run loop calls. */
const FUNCTIONS = {
  __errno_location: { parameters: [], result: "pointer" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  ioctl_buffer: { name: "ioctl", parameters: ["i32", "u32", "buffer"], result: "i32" },
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "usize" },
  munmap: { parameters: ["usize", "usize"], result: "i32" },
  mprotect: { parameters: ["usize", "usize", "i32"], result: "i32" },
  madvise: { parameters: ["usize", "usize", "i32"], result: "i32" },
  mremap: { parameters: ["usize", "usize", "usize", "i32", "usize"], result: "usize" },
  memcpy: { parameters: ["usize", "buffer", "usize"], result: "void" },
  memcpy_out: { name: "memcpy", parameters: ["buffer", "usize", "usize"], result: "void" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  sigtimedwait: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  process_vm_readv: {
    parameters: ["i32", "buffer", "usize", "buffer", "usize", "usize"],
    result: "isize",
  },
  process_vm_writev: {
    parameters: ["i32", "buffer", "usize", "buffer", "usize", "usize"],
    result: "isize",
  },
  /** Signal masks and timers, whose arguments are alike: a number, two structs, a number. */
  syscall: { parameters: ["i32", "i32", "buffer", "buffer", "u32"], result: "i32" },
} as const satisfies Record<string, Deno.ForeignFunction>;

type Functions = typeof FUNCTIONS;
type Addresses = { readonly [N in keyof Functions]: { name: string; type: "pointer" } };
type Calls = { readonly [N in keyof Functions]: Deno.UnsafeFnPointer<Functions[N]>["call"] };

function addresses(): Addresses {
  return Object.fromEntries(
    Object.entries<Deno.ForeignFunction>(FUNCTIONS)
      .map(([key, { name = key }]) => [key, { name, type: "pointer" }]),
  ) as Addresses;
}

/**
 * For a function of a library Deno compiles machine code when it opens the
 * library, which takes a tenth of a millisecond and more for each. That is worth
 * it for the call that every exit makes; of the others only the addresses are
 * looked up, and they are called by those.
 */
const { symbols } = Deno.dlopen("libc.so.6", {
  ioctl: { parameters: ["i32", "u32", "u32"], result: "i32" },
  ...addresses(),
});

function callByAddress(address: Deno.PointerValue, definition: Deno.ForeignFunction): unknown {
  let pointer: { call(...args: unknown[]): unknown } | undefined;
  return (...args: unknown[]): unknown => {
    pointer ??= new Deno.UnsafeFnPointer(address as Deno.PointerObject<never>, definition);
    return pointer.call(...args);
  };
}

const libc = Object.fromEntries(
  Object.entries<Deno.ForeignFunction>(FUNCTIONS)
    .map(([key, definition]) => [
      key,
      callByAddress(symbols[key as keyof Functions], definition),
    ]),
) as Calls;

/** System call numbers (x86-64, arch/x86/entry/syscalls/syscall_64.tbl). */
const SYS = {
  rt_sigprocmask: 14,
  gettid: 186,
  timer_create: 222,
  timer_settime: 223,
  timer_delete: 226,
} as const;

/**
 * A system call by number: glibc's own functions for timers are elsewhere in
 * older versions, and its signal masks are longer than the kernel's.
 */
function systemCall(
  name: keyof typeof SYS,
  number: number,
  first: BufferSource | null = null,
  second: BufferSource | null = null,
  last = 0,
): number {
  return check(name, libc.syscall(SYS[name], number, first, second, last));
}

/**
 * This thread's `errno`, as memory. Meaningful only straight after a call that
 * reported failure: success does not clear it.
 */
export const errnoCell: Int32Array = new Int32Array(
  Deno.UnsafePointerView.getArrayBuffer(libc.__errno_location()!, 4, 0),
);

/**
 * A call to the C library or the kernel that failed.
 *
 * @example
 * ```ts
 * import { open, O_RDWR, SystemError } from "./libc.ts";
 * try {
 *   open("/does/not/exist", O_RDWR);
 * } catch (error) {
 *   if (error instanceof SystemError) console.log(error.code); // "ENOENT"
 * }
 * ```
 */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The errno's name, such as `"ENOENT"`. */
  readonly code: string;
  /** What strerror(3) says of it. */
  readonly text: string;

  /**
   * @param call the call that failed, with what tells it from others: `ioctl(KVM_CREATE_VM)`
   * @param errno the error number
   */
  constructor(readonly call: string, readonly errno: number) {
    super(`${call}: ${errnoText(errno)} (${errnoName(errno)})`);
    this.code = errnoName(errno);
    this.text = errnoText(errno);
  }
}

/** Passes a result on, or throws what `errno` says when it is -1. */
function check(call: string, result: number): number {
  if (result === -1) throw new SystemError(call, errnoCell[0]!);
  return result;
}

/** {@linkcode check} for calls whose result is 64 bits wide. */
function checkLong(call: string, result: bigint): number {
  if (result === -1n) throw new SystemError(call, errnoCell[0]!);
  return Number(result);
}

/** A NUL-terminated string. */
function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** open(2) flag: read only. */
export const O_RDONLY = 0o0;
/** open(2) flag: write only. */
export const O_WRONLY = 0o1;
/** open(2) flag: read and write. */
export const O_RDWR = 0o2;
/** open(2) flag: make the file if there is none. */
export const O_CREAT = 0o100;
/** open(2) flag: empty the file. */
export const O_TRUNC = 0o1000;
/** open(2) flag: close on exec. */
export const O_CLOEXEC = 0o2000000;

/**
 * open(2).
 *
 * @param mode with `O_CREAT`: the rights of a new file, of which the umask takes some away
 * @returns the file descriptor
 * @throws {SystemError}
 */
export function open(path: string, flags: number, mode = 0): number {
  return check(`open(${path})`, libc.open(cString(path), flags, mode));
}

/** close(2). A second close of a number that was given anew is a bug of the caller's. */
export function close(fd: number): void {
  check("close", libc.close(fd));
}

/** More than this a single read(2) never returns. */
const MAX_READ_BYTES = 0x7fff_f000;

/** read(2) into a buffer. @returns the number of bytes read. @throws {SystemError} */
export function read(fd: number, into: Uint8Array<ArrayBuffer>): number {
  return check("read", libc.read(fd, into, Math.min(into.byteLength, MAX_READ_BYTES)));
}

/** write(2) of a buffer. @returns the number of bytes written. @throws {SystemError} */
export function write(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  return checkLong("write", libc.write(fd, bytes, BigInt(bytes.byteLength)));
}

/**
 * ioctl(2) with a number for its argument, unchecked: -1 means failure, and
 * {@linkcode errnoCell} then says why. All numbers, so a call allocates nothing:
 * this is the one that the run loop makes.
 */
export const rawIoctl: (fd: number, request: number, argument: number) => number = symbols.ioctl;

/**
 * ioctl(2) with a number for its argument.
 *
 * @param name what errors call it, such as `KVM_CREATE_VM`
 * @returns what the kernel returned
 * @throws {SystemError}
 */
export function ioctl(name: string, fd: number, request: number, argument = 0): number {
  return check(`ioctl(${name})`, symbols.ioctl(fd, request, argument));
}

/** ioctl(2) with a pointer to bytes, which the kernel may read and write. @throws {SystemError} */
export function ioctlBuffer(
  name: string,
  fd: number,
  request: number,
  bytes: Uint8Array<ArrayBuffer>,
): number {
  return check(`ioctl(${name})`, libc.ioctl_buffer(fd, request, bytes));
}

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

/** What mmap(2) is asked for; all but the size have the usual defaults. */
export interface MmapOptions {
  /** Where to map: a wish, or with `MAP.FIXED` an order. Default 0: anywhere. */
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

/** madvise(2) with one of `MADV`. @throws {SystemError} */
export function madvise(address: bigint, sizeBytes: number, advice: number): void {
  check("madvise", libc.madvise(address, BigInt(sizeBytes), advice));
}

/**
 * Memory of this process as an `ArrayBuffer`. It has no owner: whoever unmaps
 * the memory first takes the buffer away with {@linkcode releaseView}.
 */
export function viewMemory(address: bigint, sizeBytes: number): ArrayBuffer {
  return Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(address)!, sizeBytes, 0);
}

/**
 * Detaches a buffer from {@linkcode viewMemory}: every typed array on it gets
 * the length 0, so that a late access is `undefined` or a `TypeError` and not a
 * read of memory that is gone.
 */
export function releaseView(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}

/**
 * The host virtual address of a buffer's first byte. Naming the `ArrayBuffer`
 * moves a small array's bytes off the garbage-collected heap, where they stay put.
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

/** eventfd(2) with EFD_CLOEXEC and EFD_NONBLOCK. @returns the file descriptor. */
export function eventfd(initial = 0): number {
  return check("eventfd", libc.eventfd(initial, O_CLOEXEC | 0o4000));
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

/** An iovec for each side of a process_vm_readv(2) or process_vm_writev(2) call. */
function vectors(
  address: bigint,
  bytes: Uint8Array<ArrayBuffer>,
): [BigUint64Array, BigUint64Array] {
  const size = BigInt(bytes.byteLength);
  return [new BigUint64Array([addressOf(bytes), size]), new BigUint64Array([address, size])];
}

/** How many bytes were copied; none where the memory cannot be accessed. */
function copied(call: string, result: bigint): number {
  if (result !== -1n) return Number(result);
  const errno = errnoCell[0]!;
  if (errno === EFAULT) return 0;
  throw new SystemError(call, errno);
}

/**
 * Copies memory of this process with process_vm_readv(2), which reports memory
 * that cannot be read instead of raising a signal.
 *
 * @returns the number of bytes that could be read, 0 when none could
 * @throws {SystemError} for any failure but unreadable memory
 */
export function copyFromSelf(address: bigint, into: Uint8Array<ArrayBuffer>): number {
  const [local, remote] = vectors(address, into);
  return copied(
    "process_vm_readv",
    libc.process_vm_readv(Deno.pid, local, 1n, remote, 1n, 0n),
  );
}

/** The same towards memory that may not be writable: process_vm_writev(2). */
export function copyToSelf(address: bigint, bytes: Uint8Array<ArrayBuffer>): number {
  const [local, remote] = vectors(address, bytes);
  return copied(
    "process_vm_writev",
    libc.process_vm_writev(Deno.pid, local, 1n, remote, 1n, 0n),
  );
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
 * madvise(2) that answers with the errno, 0 for success: for advice whose
 * failure is the answer, such as `MADV.POPULATE_READ`.
 */
export function tryMadvise(address: bigint, sizeBytes: number, advice: number): number {
  return libc.madvise(address, BigInt(sizeBytes), advice) === -1 ? errnoCell[0]! : 0;
}

/** The calling OS thread's id: gettid(2). */
export function gettid(): number {
  return systemCall("gettid", 0);
}

/** Bytes in the kernel's sigset_t: bit n-1 for signal n. */
export const KERNEL_SIGSET_BYTES = 8;
/** Bytes in glibc's sigset_t, which begins with the kernel's. */
const SIGSET_BYTES = 128;

/** The set that holds one signal. */
function signalSet(signal: number): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(SIGSET_BYTES);
  set[(signal - 1) >> 3] = 1 << ((signal - 1) & 7);
  return set;
}

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;

/**
 * Blocks a signal in the calling thread (rt_sigprocmask(2)).
 *
 * @returns the mask as it was, for {@linkcode restoreSignalMask}
 */
export function blockSignal(signal: number): Uint8Array<ArrayBuffer> {
  const previous = new Uint8Array(KERNEL_SIGSET_BYTES);
  systemCall("rt_sigprocmask", SIG_BLOCK, signalSet(signal), previous, KERNEL_SIGSET_BYTES);
  return previous;
}

/** Sets the calling thread's signal mask. */
export function restoreSignalMask(mask: Uint8Array<ArrayBuffer>): void {
  systemCall("rt_sigprocmask", SIG_SETMASK, mask, null, KERNEL_SIGSET_BYTES);
}

/**
 * Takes a blocked, pending signal off the calling thread without waiting
 * (sigtimedwait(2) at a zero timeout).
 *
 * @returns whether one was pending
 */
export function takePendingSignal(signal: number): boolean {
  return libc.sigtimedwait(signalSet(signal), null, new Uint8Array(16)) === signal;
}

const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;

/**
 * A POSIX timer that sends `signal` to the calling thread
 * (timer_create(2), SIGEV_THREAD_ID on CLOCK_MONOTONIC).
 *
 * @returns the timer's id
 * @throws {SystemError}
 */
export function createThreadTimer(signal: number): number {
  const event = new DataView(new ArrayBuffer(64)); // struct sigevent
  event.setInt32(8, signal, true);
  event.setInt32(12, SIGEV_THREAD_ID, true);
  event.setInt32(16, gettid(), true);
  const id = new Int32Array(1);
  systemCall("timer_create", CLOCK_MONOTONIC, new Uint8Array(event.buffer), id);
  return id[0]!;
}

/**
 * Arms a timer to expire once, or disarms it (timer_settime(2)).
 *
 * @param delayMs milliseconds from now; 0 disarms
 */
export function armTimer(id: number, delayMs: number): void {
  const nanoseconds = Math.ceil(delayMs * 1e6);
  const spec = new BigInt64Array([ // struct itimerspec: interval, value
    0n,
    0n,
    BigInt(Math.floor(nanoseconds / 1e9)),
    BigInt(nanoseconds % 1e9),
  ]);
  systemCall("timer_settime", id, null, spec);
}

/** timer_delete(2). */
export function deleteTimer(id: number): void {
  systemCall("timer_delete", id);
}
