/**
 * `walk` of the stand-in for `@std/fs`.
 *
 * @module
 */

import { basename, join, normalize } from "node:path";
import { toPath } from "./to_path.ts";

/** A file, folder or symbolic link that a walk came by. */
export interface WalkEntry extends Deno.DirEntry {
  /** Its path, relative if the walk's root was. */
  path: string;
}

/** Where a walk goes and what it yields. */
export interface WalkOptions {
  /** How many levels below the root; no limit by default. */
  maxDepth?: number;
  /** Yields files. Default: true. */
  includeFiles?: boolean;
  /** Yields folders, the root too. Default: true. */
  includeDirs?: boolean;
  /** Yields symbolic links, where they are not followed. Default: true. */
  includeSymlinks?: boolean;
  /** Goes where symbolic links point to, and yields that by its real path. Default: false. */
  followSymlinks?: boolean;
  /** Yields only paths with one of these extensions, with or without the leading dot. */
  exts?: string[];
  /** Yields only paths that match one of these. */
  match?: RegExp[];
  /** Neither yields nor enters paths that match one of these. */
  skip?: RegExp[];
}

/** Options with their defaults, and the questions that a walk asks them. */
class Filter {
  readonly #options: WalkOptions;
  readonly #exts: readonly string[] | undefined;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#exts = options.exts?.map((ext) => ext.startsWith(".") ? ext : `.${ext}`);
  }

  skips(path: string): boolean {
    return this.#options.skip?.some((pattern) => path.search(pattern) >= 0) ?? false;
  }

  #selects(path: string): boolean {
    return (this.#exts?.some((ext) => path.endsWith(ext)) ?? true) &&
      (this.#options.match?.some((pattern) => path.search(pattern) >= 0) ?? true) &&
      !this.skips(path);
  }

  yields(kind: "includeFiles" | "includeDirs" | "includeSymlinks", path: string): boolean {
    return (this.#options[kind] ?? true) && this.#selects(path);
  }
}

function rootEntry(root: string, { isFile, isDirectory, isSymlink }: Deno.FileInfo): WalkEntry {
  const path = normalize(root);
  return { path, name: basename(path), isFile, isDirectory, isSymlink };
}

/**
 * Yields a folder and all that is in it, depth first. The order within a folder is the file
 * system's.
 *
 * @param root the folder
 * @param options where to go and what to yield
 * @throws {Deno.errors.NotFound} if there is no `root`
 *
 * @example
 * ```ts
 * import { walk } from "@std/fs";
 *
 * for await (const { path } of walk("images", { exts: [".elf"] })) console.log(path);
 * ```
 */
export async function* walk(
  root: string | URL,
  options: WalkOptions = {},
): AsyncIterableIterator<WalkEntry> {
  const { maxDepth = Infinity, followSymlinks = false } = options;
  const filter = new Filter(options);
  const base = toPath(root);
  if (maxDepth < 0) return;
  if (filter.yields("includeDirs", base)) yield rootEntry(base, await Deno.stat(base));
  if (maxDepth < 1 || filter.skips(base)) return;
  for await (const entry of Deno.readDir(base)) {
    let path = join(base, entry.name);
    let isDirectory = entry.isDirectory;
    if (entry.isSymlink && !followSymlinks) {
      if (filter.yields("includeSymlinks", path)) yield { ...entry, path };
      continue;
    }
    if (entry.isSymlink) {
      path = await Deno.realPath(path);
      isDirectory = (await Deno.lstat(path)).isDirectory;
    }
    if (isDirectory) yield* walk(path, { ...options, maxDepth: maxDepth - 1 });
    else if (filter.yields("includeFiles", path)) yield { ...entry, path };
  }
}

/** The synchronous {@linkcode walk}. */
export function* walkSync(
  root: string | URL,
  options: WalkOptions = {},
): IterableIterator<WalkEntry> {
  const { maxDepth = Infinity, followSymlinks = false } = options;
  const filter = new Filter(options);
  const base = toPath(root);
  if (maxDepth < 0) return;
  if (filter.yields("includeDirs", base)) yield rootEntry(base, Deno.statSync(base));
  if (maxDepth < 1 || filter.skips(base)) return;
  for (const entry of Deno.readDirSync(base)) {
    let path = join(base, entry.name);
    let isDirectory = entry.isDirectory;
    if (entry.isSymlink && !followSymlinks) {
      if (filter.yields("includeSymlinks", path)) yield { ...entry, path };
      continue;
    }
    if (entry.isSymlink) {
      path = Deno.realPathSync(path);
      isDirectory = Deno.lstatSync(path).isDirectory;
    }
    if (isDirectory) yield* walkSync(path, { ...options, maxDepth: maxDepth - 1 });
    else if (filter.yields("includeFiles", path)) yield { ...entry, path };
  }
}
