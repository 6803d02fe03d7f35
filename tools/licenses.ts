/**
 * The licences of the third-party code in `dist/vmexit`: Deno and the packages in the bundle. Every
 * executable carries them as THIRD_PARTY_LICENSES.txt.
 *
 * @module
 */

import { join } from "node:path";
import { BuildError } from "./build_error.ts";
import { bundledPackages, type Package } from "./bundle.ts";

/** The name of the file, in the program and in a release. */
export const LICENSES = "THIRD_PARTY_LICENSES.txt";

/** What packages call their licence files. */
const LICENSE_FILE = /^(licen[cs]e|copying|notice)/i;
const RULE = "=".repeat(80);

/**
 * The text of a package's licence.
 *
 * @throws {BuildError} when it has none
 */
export function licenseText({ name, version, folder }: Package): string {
  const texts = Array.from(Deno.readDirSync(folder), (entry) => entry.name)
    .filter((file) => LICENSE_FILE.test(file))
    .sort()
    .map((file) => Deno.readTextFileSync(join(folder, file)).trimEnd());
  if (texts.length === 0) {
    throw new BuildError(`${name} ${version} has no licence in ${folder}`);
  }
  return texts.join("\n\n");
}

/**
 * The licences of Deno and of all packages in the bundle.
 *
 * @param flags where packages come from, for `deno bundle`
 * @throws {BuildError}
 */
export async function thirdPartyLicenses(flags: readonly string[]): Promise<string> {
  const own = (name: string): string =>
    Deno.readTextFileSync(new URL(`licenses/${name}.txt`, import.meta.url)).trimEnd();
  const { deno } = Deno.version;
  const within = "Deno itself is made of much that others wrote, V8 and crates of Rust among it; " +
    `its\nsources name them: https://github.com/denoland/deno/tree/v${deno}`;
  const sections: [title: string, text: string][] = [
    [`Deno ${deno} and its standard library`, `${own("Deno")}\n\n${within}`],
  ];
  for (const each of await bundledPackages(flags)) {
    sections.push([`${each.name} ${each.version}`, licenseText(each)]);
  }
  // The LGPL is written as an addition to the GPL.
  if (sections.some(([, text]) => text.includes("GNU LESSER GENERAL PUBLIC LICENSE"))) {
    sections.push(["The GNU General Public License, for the Lesser one", own("GPL-3.0")]);
  }
  const list = sections.map(([title]) => `  ${title}\n`).join("");
  const texts = sections.map(([title, text]) => `\n${RULE}\n${title}\n${RULE}\n\n${text}\n`);
  return `vmexit contains software of others. Below are the licences of\n\n${list}${
    texts.join("")
  }`;
}
