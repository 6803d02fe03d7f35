/**
 * The library as a package: what is public is documented, and it could be published.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { execute, PROJECT, TempDir } from "./lib/vmexit.ts";

const PLAIN = { env: { NO_COLOR: "1" } };

/** The problems that a tool of Deno's names. */
function problems(output: string): string[] {
  return [...output.matchAll(/^(?:error|warning)\[([\w-]+)\]/gm)].map(([, name]) => name!);
}

Deno.test("everything public is documented, and speaks of nothing that is not", async () => {
  const args = ["doc", "--lint", `--import-map=${PROJECT}std/npm.json`, config.exports];
  const { code, stderr } = await execute(Deno.execPath(), args, PLAIN);
  assertEquals([code, problems(stderr)], [0, []], stderr);
});

Deno.test("the package could be published, with the licence that its owner has to choose", async () => {
  using folder = new TempDir();
  const files = config.publish.include.filter((name) => name !== "deno.json");
  assertEquals((await execute("cp", ["-r", ...files, folder.path])).code, 0);
  const configFile = folder.file("deno.json", JSON.stringify({ ...config, license: "MIT" }));
  const args = ["publish", "--dry-run", "--allow-dirty", `--config=${configFile}`];
  const { code, stderr } = await execute(Deno.execPath(), args, PLAIN);
  assertEquals([code, problems(stderr)], [0, []], stderr);
  assertStringIncludes(stderr, "Success Dry run complete");
});
