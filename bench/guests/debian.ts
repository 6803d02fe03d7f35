/**
 * Debian packages, unpacked into folders: nothing is installed, and no root is
 * needed.
 *
 * @module
 */

import { output } from "../process.ts";

/**
 * Packages in a folder, each fetched once.
 *
 * @example
 * ```ts ignore
 * import { DebianPackages } from "./debian.ts";
 * const debian = new DebianPackages("/var/tmp/guests");
 * console.log(await debian.unpack("memtest86+")); // /var/tmp/guests/memtest86+
 * ```
 */
export class DebianPackages {
  /** @param folder the cache */
  constructor(readonly folder: string) {}

  /**
   * Fetches and unpacks a package, unless it is cached.
   *
   * @returns the folder that stands for `/`
   * @throws {Error} when apt-get does not have it
   */
  async unpack(name: string): Promise<string> {
    const folder = `${this.folder}/${name}`;
    if (await exists(folder)) return folder;
    const fresh = `${folder}.part`;
    await remove(fresh);
    await Deno.mkdir(`${fresh}/root`, { recursive: true });
    try {
      await output("apt-get", ["download", "--quiet", name], fresh);
      const archive = await fileIn(fresh, /\.deb$/);
      await output("dpkg-deb", ["--extract", archive, `${fresh}/root`]);
      await Deno.rename(`${fresh}/root`, folder);
    } finally {
      await remove(fresh);
    }
    return folder;
  }

  /**
   * The dependency of a metapackage: its name changes with every release of Debian.
   *
   * @param pattern matches its name
   * @throws {Error} when there is none
   */
  async dependency(name: string, pattern: RegExp): Promise<string> {
    const lines = (await output("apt-cache", ["depends", name])).split("\n");
    const names = lines.map((line) => line.replace(/^.*:\s*/, "").trim());
    const found = names.find((other) => pattern.test(other));
    if (found === undefined) throw new Error(`Debian's ${name} depends on no ${pattern.source}`);
    return found;
  }
}

/** The file of a folder whose name matches. @throws {Error} when there is none */
export async function fileIn(folder: string, pattern: RegExp): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) {
    if (pattern.test(name)) return `${folder}/${name}`;
  }
  throw new Error(`no file ${pattern.source} in ${folder}`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  if (await exists(path)) await Deno.remove(path, { recursive: true });
}
