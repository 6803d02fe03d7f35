/**
 * `expandGlob` of the stand-in for `@std/fs`, made on `picomatch`.
 *
 * @module
 */

import { relative, resolve } from "node:path";
// @ts-types="@types/picomatch"
import picomatch from "picomatch";
import { exists } from "./exists.ts";
import { toPath } from "./to_path.ts";
import { walk, type WalkEntry } from "./walk.ts";

/** Where {@linkcode expandGlob} looks and what it leaves out. */
export interface ExpandGlobOptions {
  /** What a relative pattern starts from. Default: the current folder. */
  root?: string;
  /** Patterns of what is left out and, for folders, not entered. */
  exclude?: string[];
  /** Yields folders. Default: true. */
  includeDirs?: boolean;
}

// A `*` means dot files as well, unlike in a shell.
const SYNTAX: picomatch.PicomatchOptions = { dot: true };

/**
 * Yields what matches a glob pattern, by absolute path and in the order of the paths. Nothing is
 * yielded where nothing matches; symbolic links are not followed.
 *
 * @param glob the pattern: `*`, `?`, `**`, `[a-z]`, `{a,b}`
 * @param options where to look
 *
 * @example
 * ```ts
 * import { expandGlob } from "@std/fs";
 *
 * for await (const { path } of expandGlob("images/*.elf")) console.log(path);
 * ```
 */
export async function* expandGlob(
  glob: string | URL,
  options: ExpandGlobOptions = {},
): AsyncIterableIterator<WalkEntry> {
  const { root = Deno.cwd(), exclude = [], includeDirs = true } = options;
  const pattern = toPath(glob);
  const { base, glob: tail } = picomatch.scan(pattern);
  const start = resolve(root, base);
  if (!(await exists(start))) return;

  const segments = tail.split("/").filter(Boolean);
  const isMatch = picomatch(segments.join("/") || ".", SYNTAX);
  const matches = (path: string): boolean =>
    path === "" ? segments.every((segment) => segment === "**") : isMatch(path);
  const skip = exclude.map((each) => picomatch.makeRe(resolve(root, each), SYNTAX));
  const maxDepth = segments.includes("**") ? Infinity : segments.length;
  const found: WalkEntry[] = [];
  for await (const entry of walk(start, { skip, maxDepth })) {
    if (!matches(relative(start, entry.path))) continue;
    if (entry.isDirectory ? includeDirs : !pattern.endsWith("/")) found.push(entry);
  }
  yield* found.sort((a, b) => a.path < b.path ? -1 : 1);
}
