/**
 * The script of the page, with uPlot. A bundle of the program carries it as a file; when vmexit
 * runs from its sources, the script is bundled on demand.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const SCRIPT = new URL("./page/page.js", import.meta.url);

/** The script, for a `<script type="module">`. */
export async function pageScript(): Promise<string> {
  try {
    return await Deno.readTextFile(SCRIPT);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return await bundleForBrowser(fileURLToPath(SCRIPT).replace(/js$/, "ts"));
  }
}

/**
 * Bundles a module and its imports into one script.
 *
 * @param path the module
 * @throws {Error} for errors in the modules
 */
export async function bundleForBrowser(path: string): Promise<string> {
  const { errors, outputFiles } = await Deno.bundle({
    entrypoints: [path],
    platform: "browser",
    minify: true,
    write: false,
  });
  const [script] = outputFiles ?? [];
  if (!script) throw new Error(`${path}: ${errors.map(({ text }) => text).join("; ")}`);
  return script.text().trim();
}
