/**
 * The library as a package: what is public is documented, and it could be published.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { execute, PROJECT } from "./lib/vmexit.ts";

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

Deno.test("the package could be published, but for a licence, which its owner has to choose", async () => {
  const args = ["publish", "--dry-run", "--allow-dirty"];
  const { stderr } = await execute(Deno.execPath(), args, PLAIN);
  assertEquals(problems(stderr).filter((name) => name !== "missing-license"), [], stderr);
});
