/**
 * The script of the report's page, uPlot within it: in a bundle of the program it lies beside the
 * other files; from the sources it is made when it is needed.
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
 * Makes one script of a module and all that it imports.
 *
 * @param path the module's
 * @throws {Error} with what is wrong in the modules
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
