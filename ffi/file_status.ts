/**
 * statx(2) through the C library: a file's owner, permissions and device number,
 * for `doctor`. `Deno.stat` refuses /dev unless every permission is granted.
 *
 * @module
 */

import { decode, layout } from "./layout.ts";
import { check, cString, libc } from "./libc.ts";

/** The part of `struct statx` (linux/stat.h) with owner, permissions and device number. */
export const STATX = layout("statx", 256, {
  stx_uid: [20, "u32"],
  stx_gid: [24, "u32"],
  stx_mode: [28, "u16"],
  stx_rdev_major: [128, "u32"],
  stx_rdev_minor: [132, "u32"],
});

/** System call number (x86-64, arch/x86/entry/syscalls/syscall_64.tbl). */
const SYS_STATX = 332;
const AT_FDCWD = -100;
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
  const bytes = new Uint8Array(STATX.size);
  check(
    `statx(${path})`,
    libc.statx(SYS_STATX, AT_FDCWD, cString(path), 0, STATX_BASIC_STATS, bytes),
  );
  const status = decode(STATX, bytes);
  return {
    rights: status.stx_mode & RIGHTS,
    uid: status.stx_uid,
    gid: status.stx_gid,
    major: status.stx_rdev_major,
    minor: status.stx_rdev_minor,
  };
}
