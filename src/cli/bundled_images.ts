/**
 * The example images that come with vmexit, by name: `vmexit run hello`.
 *
 * @module
 */

/**
 * Their folder. The path is made by hand: `node:path` would cost each start more than the rest of
 * this module.
 */
const FOLDER = decodeURIComponent(new URL("../../images/", import.meta.url).pathname);

/** File extensions of images. A short name means the first of several that exist. */
export const IMAGE_EXTENSIONS = [
  ".elf",
  ".bin64",
  ".bin32",
  ".bin16",
  ".mb",
  ".mb2",
  ".kludge",
  ".pvh",
  ".bzimage",
] as const;

/**
 * The images' file names, sorted by short name; images in folders as `fault/read.bin64`. Empty when
 * the folder of images is missing.
 *
 * @param folder their folder
 */
export function bundledImages(folder: string = FOLDER): string[] {
  const rank = (name: string): number => IMAGE_EXTENSIONS.findIndex((end) => name.endsWith(end));
  return namesBelow(folder, "")
    .filter((name) => rank(name) !== -1)
    .sort((a, b) => compare(shortName(a), shortName(b)) || rank(a) - rank(b));
}

function namesBelow(folder: string, prefix: string): string[] {
  try {
    return [...Deno.readDirSync(folder + prefix)].flatMap(({ name, isDirectory }) =>
      isDirectory ? namesBelow(folder, `${prefix}${name}/`) : [prefix + name]
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function shortName(name: string): string {
  return name.replace(/\.\w+$/, "");
}

/**
 * The short names of the images in the folder itself, each once: `hello`, `regs`.
 *
 * @example
 * ```ts
 * import { shortNames } from "./bundled_images.ts";
 * console.log(shortNames().includes("hello")); // true
 * ```
 */
export function shortNames(folder?: string): string[] {
  const names = bundledImages(folder).filter((name) => !name.includes("/"));
  return [...new Set(names.map(shortName))];
}

/** A bundled image: its name, whose extension tells its format, and its path. */
export interface BundledImage {
  readonly name: string;
  readonly path: string;
}

/**
 * Finds an image by its name or short name.
 *
 * @example
 * ```ts
 * import { findBundledImage } from "./bundled_images.ts";
 * console.log(findBundledImage("hello")?.name); // hello.elf
 * ```
 */
export function findBundledImage(
  wanted: string,
  folder: string = FOLDER,
): BundledImage | undefined {
  const names = bundledImages(folder);
  const name = names.find((each) => each === wanted) ??
    names.find((each) => shortName(each) === wanted);
  return name === undefined ? undefined : { name, path: folder + name };
}
