/**
 * Stand-in for `@std/fs` on networks that reach npm but not JSR: the functions that this project
 * uses, with the signatures and the behaviour of the real package.
 *
 * @module
 */

export { exists, type ExistsOptions, existsSync } from "./exists.ts";
export { expandGlob, type ExpandGlobOptions } from "./expand_glob.ts";
export { walk, type WalkEntry, type WalkOptions, walkSync } from "./walk.ts";

import { join } from "node:path";
import { toPath } from "./to_path.ts";

/**
 * Creates a folder and its parents where they are missing.
 *
 * @param dir the folder
 * @throws {Error} if something that is no folder is there
 *
 * @example
 * ```ts
 * import { ensureDir } from "@std/fs";
 *
 * await ensureDir(await Deno.makeTempDir());
 * ```
 */
export async function ensureDir(dir: string | URL): Promise<void> {
  // mkdir's `recursive` takes an existing folder as it is, a symbolic link to one included.
  await Deno.mkdir(dir, { recursive: true });
}

/** The synchronous {@linkcode ensureDir}. */
export function ensureDirSync(dir: string | URL): void {
  Deno.mkdirSync(dir, { recursive: true });
}

/**
 * Removes everything in a folder, or creates the folder.
 *
 * @param dir the folder
 *
 * @example
 * ```ts
 * import { emptyDir } from "@std/fs";
 *
 * await emptyDir(await Deno.makeTempDir());
 * ```
 */
export async function emptyDir(dir: string | URL): Promise<void> {
  await ensureDir(dir);
  for await (const { name } of Deno.readDir(dir)) {
    await Deno.remove(join(toPath(dir), name), { recursive: true });
  }
}
