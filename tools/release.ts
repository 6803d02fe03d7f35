/**
 * Builds a release in dist/: `./dev release`. The executable, its manual page, shell completions, and
 * the checksums of all. SOURCE_DATE_EPOCH, in seconds, dates the page, so that the same sources build
 * the same files.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { completionScript } from "../src/cli/completions/completions.ts";
import { build } from "./build.ts";
import { BuildError } from "./build_error.ts";
import { LICENSES } from "./licenses.ts";
import { manPage } from "./man_page.ts";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));

/**
 * The texts released with the executable, by path below dist/.
 *
 * @param date of the release, as `2025-04-15`
 */
export function releaseTexts(version: string, date: string): Map<string, string> {
  return new Map([
    ["vmexit.1", manPage(version, date)],
    // Named as the shells look for them.
    ["completions/bash/vmexit", completionScript("bash")],
    ["completions/zsh/_vmexit", completionScript("zsh")],
    ["completions/fish/vmexit.fish", completionScript("fish")],
  ]);
}

/** Lines for `sha256sum -c`. @param names of files in a folder */
export function checksumLines(folder: string, names: Iterable<string>): string {
  return Array.from(names, (name) => {
    const hash = createHash("sha256").update(Deno.readFileSync(join(folder, name)));
    return `${hash.digest("hex")}  ${name}\n`;
  }).join("");
}

function releaseDate(): string {
  const seconds = Number(Deno.env.get("SOURCE_DATE_EPOCH") ?? Date.now() / 1000);
  if (!Number.isFinite(seconds)) {
    throw new BuildError("SOURCE_DATE_EPOCH is not a number of seconds");
  }
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

async function release(): Promise<void> {
  const texts = releaseTexts(config.version, releaseDate());
  const files = await build();
  texts.set(LICENSES, new TextDecoder().decode(files.get(LICENSES)));
  for (const [name, text] of texts) {
    Deno.mkdirSync(dirname(join(DIST, name)), { recursive: true });
    Deno.writeTextFileSync(join(DIST, name), text);
  }
  const sums = "SHA256SUMS";
  Deno.writeTextFileSync(join(DIST, sums), checksumLines(DIST, ["vmexit", ...texts.keys()]));
  for (const name of [...texts.keys(), sums]) console.log(`dist/${name}`);
}

if (import.meta.main) {
  try {
    await release();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`release: ${error.message}`);
    Deno.exit(1);
  }
}
