/**
 * Non-blocking streams, for serial ports and consoles: pseudo-terminals, Unix
 * sockets, and reads and writes that return at once.
 *
 * @module
 */

import { EAGAIN, ECONNRESET, EINTR, EIO, EPIPE } from "./errno.ts";
import {
  check,
  close,
  errnoCell,
  libc,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SystemError,
} from "./libc.ts";
import { setTerminalMode, terminalMode, transparentMode } from "./terminal.ts";

/** open(2) flag: do not make it the controlling terminal. */
const O_NOCTTY = 0o400;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
/** Not in Linux's UAPI, but the same value as `O_*` there. */
const SOCK_FLAGS = O_CLOEXEC | O_NONBLOCK;
/** Bytes of `struct sockaddr_un`: the family, and a path that ends with a NUL. */
const SOCKADDR_UN_BYTES = 110;
const POLLIN = 1;
const POLLOUT = 4;
const PATH_BYTES = 64;

/** A pseudo-terminal. */
export interface Pty {
  /** The master's descriptor. */
  readonly fd: number;
  /** The slave's path: `/dev/pts/3`. */
  readonly path: string;
}

/** Opens a pseudo-terminal that passes every byte unchanged. @throws {SystemError} */
export function openPty(): Pty {
  const fd = check(
    "posix_openpt",
    libc.posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK),
  );
  try {
    check("grantpt", libc.grantpt(fd));
    check("unlockpt", libc.unlockpt(fd));
    const path = new Uint8Array(PATH_BYTES);
    const errno = libc.ptsname_r(fd, path, BigInt(path.length));
    if (errno !== 0) throw new SystemError("ptsname_r", errno);
    setTerminalMode(fd, transparentMode(terminalMode(fd)));
    return { fd, path: new TextDecoder().decode(path.subarray(0, path.indexOf(0))) };
  } catch (error) {
    close(fd);
    throw error;
  }
}

function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(SOCKADDR_UN_BYTES);
  const bytes = new TextEncoder().encode(path);
  if (bytes.length > SOCKADDR_UN_BYTES - 3) {
    throw new RangeError(`a socket's path has at most 107 bytes, and ${path} is longer`);
  }
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  return address;
}

function unixSocket(use: (fd: number) => void): number {
  const fd = check("socket", libc.socket(AF_UNIX, SOCK_STREAM | SOCK_FLAGS, 0));
  try {
    use(fd);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Connects to the listener at a path. @throws {SystemError} @throws {RangeError} */
export function connectUnix(path: string): number {
  const address = unixAddress(path);
  return unixSocket((fd) => {
    check(`connect(${path})`, libc.connect(fd, address, address.length));
  });
}

/** Creates a socket at a path and listens. @throws {SystemError} @throws {RangeError} */
export function listenUnix(path: string): number {
  const address = unixAddress(path);
  return unixSocket((fd) => {
    check(`bind(${path})`, libc.bind(fd, address, address.length));
    check("listen", libc.listen(fd, 1));
  });
}

/** Accepts a pending connection, if any. @throws {SystemError} */
export function tryAccept(fd: number): number | undefined {
  const connection = libc.accept4(fd, null, null, SOCK_FLAGS);
  return connection === -1 ? notNow("accept4", errnoCell[0]!) : connection;
}

/**
 * Reads what has arrived at a non-blocking descriptor.
 *
 * @returns the number of bytes; 0 at the end; `undefined` when nothing has
 *   arrived, or a pseudo-terminal's other end is closed
 * @throws {SystemError}
 */
export function tryRead(fd: number, into: Uint8Array<ArrayBuffer>): number | undefined {
  const count = libc.read(fd, into, into.length);
  if (count !== -1) return count;
  const errno = errnoCell[0]!;
  return errno === EIO ? undefined : notNow("read", errno);
}

/**
 * Writes as much as fits.
 *
 * @returns the number of bytes; 0 when there is no room; `undefined` when the
 *   other end is closed
 * @throws {SystemError}
 */
export function tryWrite(fd: number, bytes: Uint8Array<ArrayBuffer>): number | undefined {
  const count = libc.write(fd, bytes, BigInt(bytes.length));
  if (count !== -1n) return Number(count);
  const errno = errnoCell[0]!;
  if (errno === EPIPE || errno === ECONNRESET) return undefined;
  notNow("write", errno);
  return 0;
}

function notNow(call: string, errno: number): undefined {
  if (errno === EAGAIN || errno === EINTR) return undefined;
  throw new SystemError(call, errno);
}

/**
 * Whether a read would return at once: with bytes, with the end or with an error.
 *
 * @param timeoutMs how long to wait for that; -1 for ever
 */
export function isReadable(fd: number, timeoutMs = 0): boolean {
  return pollFor(fd, POLLIN, timeoutMs);
}

/** Whether a write would find room, or fail, at once. Parameters as of {@linkcode isReadable}. */
export function isWritable(fd: number, timeoutMs = 0): boolean {
  return pollFor(fd, POLLOUT, timeoutMs);
}

function pollFor(fd: number, events: number, timeoutMs: number): boolean {
  const poll = new Int32Array([fd, events]); // struct pollfd
  return libc.poll(new Uint8Array(poll.buffer), 1n, timeoutMs) > 0;
}

/** Blocks the thread for so many milliseconds. */
export function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
