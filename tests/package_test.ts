/**
 * The library as a package: what is public is documented, and it could be published.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { execute, PROJECT } from "./lib/vmexit.ts";

const PLAIN = { env: { NO_COLOR: "1" } };

/** The problems that a tool of Deno's names. */
function problems(output: string): string[] {
  return [...output.matchAll(/^(?:error|warning)\[([\w-]+)\]/gm)].map(([, name]) => name!);
}

Deno.test("everything public is documented, and refers only to public names", async () => {
  const args = ["doc", "--lint", `--import-map=${PROJECT}std/npm.json`, config.exports];
  const { code, stderr } = await execute(Deno.execPath(), args, PLAIN);
  assertEquals([code, problems(stderr)], [0, []], stderr);
});

Deno.test("the package could be published", async () => {
  const args = ["publish", "--dry-run", "--allow-dirty"];
  const { code, stderr } = await execute(Deno.execPath(), args, PLAIN);
  assertEquals([code, problems(stderr)], [0, []], stderr);
  assertStringIncludes(stderr, "Success Dry run complete");
  for (const file of ["CHANGELOG.md", "LICENSE", "README.md", "docs/report.png", "src/mod.ts"]) {
    assertStringIncludes(stderr, PROJECT + file);
  }
});

Deno.test("the licence that deno.json names is the one in LICENSE", () => {
  assertStringIncludes(Deno.readTextFileSync(`${PROJECT}LICENSE`), `${config.license} License\n`);
});

Deno.test("the changelog has a section for this version and one for what comes next", () => {
  const changelog = Deno.readTextFileSync(`${PROJECT}CHANGELOG.md`);
  for (const version of ["Unreleased", config.version]) {
    assertStringIncludes(changelog, `\n## ${version}\n`);
  }
});
