/**
 * The C library: the few functions that a VMM needs, through `Deno.dlopen`.
 *
 * Every wrapper performs one call and, when it fails, reads `errno` before
 * anything else can run on this thread. `errno` belongs to the OS thread, and a
 * synchronous FFI call runs on the thread of its isolate, so the cell is looked
 * up once per isolate and then read as plain memory, without another call.
 *
 * @module
 */

import { EINTR, errnoName, errnoText } from "./errno.ts";

/** All functions but the one that the run loop calls. */
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
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  write_from: { name: "write", parameters: ["i32", "usize", "usize"], result: "isize" },
  read_into: { name: "read", parameters: ["i32", "usize", "usize"], result: "isize" },
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  posix_openpt: { parameters: ["i32"], result: "i32" },
  grantpt: { parameters: ["i32"], result: "i32" },
  unlockpt: { parameters: ["i32"], result: "i32" },
  ptsname_r: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  tcgetattr: { parameters: ["i32", "buffer"], result: "i32" },
  cfmakeraw: { parameters: ["buffer"], result: "void" },
  tcsetattr: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  tcgetpgrp: { parameters: ["i32"], result: "i32" },
  raise: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  fcntl_buffer: { name: "fcntl", parameters: ["i32", "i32", "buffer"], result: "i32" },
  getpgrp: { parameters: [], result: "i32" },
  getppid: { parameters: [], result: "i32" },
  prctl: { parameters: ["i32", "usize"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  /** statx(2): by number, since older C libraries lack it. */
  statx: {
    name: "syscall",
    parameters: ["i32", "i32", "buffer", "i32", "u32", "buffer"],
    result: "i32",
  },
  /** Signal masks and timers, whose arguments are alike: a number, two structs, a number. */
  syscall: { parameters: ["i32", "i32", "buffer", "buffer", "u32"], result: "i32" },
  /** tgkill(2): by number, since older C libraries lack it. */
  tgkill: { name: "syscall", parameters: ["i32", "i32", "i32", "i32"], result: "i32" },
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
 * `Deno.dlopen` compiles machine code for each function that it is given, which
 * takes a tenth of a millisecond or more. That pays for the call that every exit
 * makes; the others are only looked up, and called by their addresses.
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

/** The functions, each called by its address; for the modules of this folder only. */
export const libc = Object.fromEntries(
  Object.entries<Deno.ForeignFunction>(FUNCTIONS)
    .map(([key, definition]) => [
      key,
      callByAddress(symbols[key as keyof Functions], definition),
    ]),
) as Calls;

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
  /** Its text, as strerror(3) gives it. */
  readonly text: string;

  /**
   * @param call the call that failed, with its request: `ioctl(KVM_CREATE_VM)`
   * @param errno the error number
   */
  constructor(readonly call: string, readonly errno: number) {
    super(`${call}: ${errnoText(errno)} (${errnoName(errno)})`);
    this.code = errnoName(errno);
    this.text = errnoText(errno);
  }
}

/** Returns a result, or throws a {@linkcode SystemError} with `errno` when it is -1. */
export function check(call: string, result: number): number {
  if (result === -1) throw new SystemError(call, errnoCell[0]!);
  return result;
}

/** {@linkcode check} for calls whose result is 64 bits wide. */
export function checkLong(call: string, result: bigint): number {
  if (result === -1n) throw new SystemError(call, errnoCell[0]!);
  return Number(result);
}

/** A NUL-terminated string. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** open(2) flag: read only. */
export const O_RDONLY = 0o0;
/** open(2) flag: write only. */
export const O_WRONLY = 0o1;
/** open(2) flag: read and write. */
export const O_RDWR = 0o2;
/** open(2) flag: create the file if it does not exist. */
export const O_CREAT = 0o100;
/** open(2) flag: truncate the file. */
export const O_TRUNC = 0o1000;
/** open(2) flag: close on exec. */
export const O_CLOEXEC = 0o2000000;
/** open(2), pipe2(2) and socket(2) flag: non-blocking. */
export const O_NONBLOCK = 0o4000;

/**
 * open(2).
 *
 * @param mode with `O_CREAT`: the mode of a new file, before the umask
 * @returns the file descriptor
 * @throws {SystemError}
 */
export function open(path: string, flags: number, mode = 0): number {
  return check(`open(${path})`, libc.open(cString(path), flags, mode));
}

/** close(2). Closing a descriptor twice is the caller's bug: its number may be in use again. */
export function close(fd: number): void {
  check("close", libc.close(fd));
}

/** The most that one read(2) returns. */
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
 * ioctl(2) with a number as its argument, unchecked: -1 means failure, and
 * {@linkcode errnoCell} then says why. It takes only numbers, so a call allocates
 * nothing: the run loop enters the guest with it.
 */
export const rawIoctl: (fd: number, request: number, argument: number) => number = symbols.ioctl;

/**
 * ioctl(2) with a number as its argument.
 *
 * @param name what errors call it, such as `KVM_CREATE_VM`
 * @returns what the kernel returned
 * @throws {SystemError}
 */
export function ioctl(name: string, fd: number, request: number, argument = 0): number {
  let result: number;
  // Making a VM takes long, and a signal may interrupt it: retry.
  do result = symbols.ioctl(fd, request, argument); while (isInterrupted(result));
  return check(`ioctl(${name})`, result);
}

function isInterrupted(result: number): boolean {
  return result === -1 && errnoCell[0] === EINTR;
}

/** ioctl(2) with a pointer to bytes, which the kernel may read and write. @throws {SystemError} */
export function ioctlBuffer(
  name: string,
  fd: number,
  request: number,
  bytes: Uint8Array<ArrayBuffer>,
): number {
  let result: number;
  do result = libc.ioctl_buffer(fd, request, bytes); while (isInterrupted(result));
  return check(`ioctl(${name})`, result);
}

/** eventfd(2) with EFD_CLOEXEC and EFD_NONBLOCK. @returns the file descriptor. */
export function eventfd(initial = 0): number {
  return check("eventfd", libc.eventfd(initial, O_CLOEXEC | O_NONBLOCK));
}
