/**
 * Stand-in for `@std/fs` on networks that reach npm but not JSR: the functions that this project
 * uses, with the signatures and the behaviour of the real package.
 *
 * @module
 */

import { basename, join, normalize } from "node:path";

/** Whether there is a file or folder. */
export function existsSync(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A file, folder or symbolic link found by a walk. */
export interface WalkEntry extends Deno.DirEntry {
  /** Its path, relative if the walk's root was. */
  path: string;
}

/** What a walk yields. */
export interface WalkOptions {
  /** Yields folders, the root too. Default: true. */
  includeDirs?: boolean;
  /** Yields only paths with one of these extensions. */
  exts?: string[];
  /** Paths that match one of these are not yielded and not entered. */
  skip?: RegExp[];
}

/**
 * Yields a folder and everything in it, depth first. Symbolic links are not followed. The order
 * within a folder is the file system's.
 *
 * @throws {Deno.errors.NotFound} if there is no `root`
 *
 * @example
 * ```ts
 * import { walkSync } from "@std/fs";
 *
 * for (const { path } of walkSync("images", { exts: [".elf"] })) console.log(path);
 * ```
 */
export function* walkSync(root: string, options: WalkOptions = {}): IterableIterator<WalkEntry> {
  const { includeDirs = true, exts, skip = [] } = options;
  const yields = (path: string): boolean => exts?.some((ext) => path.endsWith(ext)) ?? true;
  const skips = (path: string): boolean => skip.some((pattern) => path.search(pattern) >= 0);
  if (skips(root)) return;
  const path = normalize(root);
  if (includeDirs && yields(path)) {
    const { isFile, isDirectory, isSymlink } = Deno.statSync(root);
    yield { path, name: basename(path), isFile, isDirectory, isSymlink };
  }
  for (const entry of Deno.readDirSync(root)) {
    const path = join(root, entry.name);
    if (entry.isDirectory) yield* walkSync(path, options);
    else if (yields(path) && !skips(path)) yield { ...entry, path };
  }
}
