/**
 * `exists` of the stand-in for `@std/fs`.
 *
 * @module
 */

/** What {@linkcode exists} asks for beside existence. */
export interface ExistsOptions {
  /** By its permission bits, this user may read it. */
  isReadable?: boolean;
  /** It is a folder, or a link to one. Not together with `isFile`. */
  isDirectory?: boolean;
  /** It is a regular file, or a link to one. Not together with `isDirectory`. */
  isFile?: boolean;
}

/** The permission bit that decides whether this user may read. */
function readBit(stat: Deno.FileInfo): number {
  if (stat.uid === Deno.uid()) return 0o400;
  return stat.gid === Deno.gid() ? 0o040 : 0o004;
}

function meets(stat: Deno.FileInfo, options: ExistsOptions): boolean {
  if (options.isDirectory && options.isFile) {
    throw new TypeError("exists: isDirectory and isFile exclude each other");
  }
  if (options.isDirectory && !stat.isDirectory) return false;
  if (options.isFile && !stat.isFile) return false;
  return !options.isReadable || stat.mode === null || (stat.mode & readBit(stat)) !== 0;
}

/** What a failed `stat` says. A permission that Deno itself withholds says nothing. */
function answerOf(
  error: unknown,
  permission: Deno.PermissionState,
  options: ExistsOptions,
): boolean {
  if (error instanceof Deno.errors.NotFound) return false;
  if (error instanceof Deno.errors.PermissionDenied && permission === "granted") {
    return !options.isReadable;
  }
  throw error;
}

/**
 * Tells whether a path exists.
 *
 * @param path the file or folder
 * @param options what it must be
 * @returns whether it is there and is that
 *
 * @example
 * ```ts
 * import { exists } from "@std/fs";
 * import { assert } from "@std/assert";
 *
 * assert(await exists(await Deno.makeTempDir(), { isDirectory: true }));
 * ```
 */
export async function exists(path: string | URL, options: ExistsOptions = {}): Promise<boolean> {
  let stat: Deno.FileInfo;
  try {
    stat = await Deno.stat(path);
  } catch (error) {
    const { state } = await Deno.permissions.query({ name: "read", path });
    return answerOf(error, state, options);
  }
  return meets(stat, options);
}

/** The synchronous {@linkcode exists}. */
export function existsSync(path: string | URL, options: ExistsOptions = {}): boolean {
  let stat: Deno.FileInfo;
  try {
    stat = Deno.statSync(path);
  } catch (error) {
    return answerOf(error, Deno.permissions.querySync({ name: "read", path }).state, options);
  }
  return meets(stat, options);
}
