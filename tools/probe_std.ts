/**
 * Exits with 0 if the `@std` packages that deno.json names can be loaded, from the cache or from their
 * registry. The launchers run it once, to choose a mapping.
 *
 * @module
 */

/** With the start of Deno itself, less than five seconds. */
const TIMEOUT_MS = 4000;

const { imports } = JSON.parse(
  await Deno.readTextFile(new URL("../std/npm.json", import.meta.url)),
) as { imports: Record<string, string> };
const specifiers = Object.keys(imports).filter((specifier) => specifier.startsWith("@std/"));

setTimeout(() => Deno.exit(1), TIMEOUT_MS);
try {
  await Promise.all(specifiers.map((specifier) => import(specifier)));
} catch {
  Deno.exit(1);
}
Deno.exit(0);
