/**
 * The example images that come with vmexit, by name: `vmexit run hello`.
 *
 * @module
 */

/**
 * Where they lie; a folder of the bundle that carries them along. By hand, since a module of
 * `node:` has Deno load what Node.js has, and would take more of each start than all else here.
 */
const FOLDER = decodeURIComponent(new URL("../../images/", import.meta.url).pathname);

/** The ends of images' names. Of two that differ in nothing else a short name means the first. */
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
 * The images' file names in the order of their short names, those of folders as `fault/read.bin64`.
 * Empty where there is no folder of images.
 *
 * @param folder where they lie
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
 * The names by which the images of the folder itself can be run, each once: `hello`, `regs`.
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

/** A bundled image: its name, which tells what it is, and where it is. */
export interface BundledImage {
  readonly name: string;
  readonly path: string;
}

/**
 * Finds an image by its name or short name. Only what is in the list is found.
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
