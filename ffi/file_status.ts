/**
 * statx(2) through the C library: a file's owner, permissions and device number,
 * for `doctor`. `Deno.stat` refuses /dev unless every permission is granted.
 *
 * @module
 */

import { decode, layout } from "./layout.ts";
import { check, cString, libc, SystemError } from "./libc.ts";

/** The part of `struct statx` (linux/stat.h) with owner, permissions, identity and device number. */
export const STATX = layout("statx", 256, {
  stx_uid: [20, "u32"],
  stx_gid: [24, "u32"],
  stx_mode: [28, "u16"],
  stx_ino: [32, "u64"],
  stx_rdev_major: [128, "u32"],
  stx_rdev_minor: [132, "u32"],
  stx_dev_major: [136, "u32"],
  stx_dev_minor: [140, "u32"],
});

/** System call number (x86-64, arch/x86/entry/syscalls/syscall_64.tbl). */
const SYS_STATX = 332;
const AT_FDCWD = -100;
/** statx(2) flag: the descriptor itself, with an empty path. */
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
/** The permission bits of `stx_mode`; the others are the file's type. */
const RIGHTS = 0o7777;

/** A file's owner, permissions and device number. */
export interface FileStatus {
  /** The permissions: `0o660`. */
  readonly rights: number;
  /** The owner's user id. */
  readonly uid: number;
  /** The group's id. */
  readonly gid: number;
  /** A device's major number, 0 for other files. */
  readonly major: number;
  /** A device's minor number, 0 for other files. */
  readonly minor: number;
}

/**
 * statx(2), following symbolic links.
 *
 * @throws {SystemError}
 *
 * @example
 * ```ts
 * import { fileStatus } from "./file_status.ts";
 * console.log(fileStatus("/dev/null").major); // 1
 * ```
 */
export function fileStatus(path: string): FileStatus {
  const status = statx(AT_FDCWD, path, 0);
  return {
    rights: status.stx_mode & RIGHTS,
    uid: status.stx_uid,
    gid: status.stx_gid,
    major: status.stx_rdev_major,
    minor: status.stx_rdev_minor,
  };
}

/** The bits of `stx_mode` with the file's type, and some of their values (S_IF*). */
const TYPE = 0o170000;
const TYPES: Readonly<Record<number, FileIdentity["type"]>> = {
  0o010000: "pipe",
  0o020000: "character",
  0o140000: "socket",
};

/** Which file a descriptor leads to. */
export interface FileIdentity {
  /** `disk` for regular files and block devices; `unknown` where the kernel does not say. */
  readonly type: "pipe" | "character" | "socket" | "disk" | "unknown";
  /** The same for descriptors of the same file. */
  readonly key: string;
}

/**
 * Which file an open descriptor leads to. Old kernels and some containers have no statx(2).
 *
 * @example
 * ```ts
 * import { fileIdentity } from "./file_status.ts";
 * console.log(fileIdentity(1).key === fileIdentity(2).key); // true on a terminal
 * ```
 */
export function fileIdentity(fd: number): FileIdentity {
  try {
    const status = statx(fd, "", AT_EMPTY_PATH);
    return {
      type: TYPES[status.stx_mode & TYPE] ?? "disk",
      key: `${status.stx_dev_major}:${status.stx_dev_minor}:${status.stx_ino}`,
    };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { type: "unknown", key: `descriptor ${fd}` };
  }
}

function statx(fd: number, path: string, flags: number) {
  const bytes = new Uint8Array(STATX.size);
  check(
    `statx(${path || fd})`,
    libc.statx(SYS_STATX, fd, cString(path), flags, STATX_BASIC_STATS, bytes),
  );
  return decode(STATX, bytes);
}
