/**
 * Paths as the stand-in for `@std/fs` takes them.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** A path given as a string or as a `file:` URL, as a string. */
export function toPath(path: string | URL): string {
  return path instanceof URL ? fileURLToPath(path) : path;
}
