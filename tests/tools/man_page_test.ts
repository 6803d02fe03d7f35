/**
 * The manual page against the code that it describes. Its options and exit codes are in release_test.ts.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { dirname } from "node:path";
import { HOLE_KINDS } from "../../src/memory/hole.ts";
import { EXAMPLES, manPage } from "../../tools/man_page.ts";
import { kvmTest } from "../lib/kvm.ts";
import { execute, PROJECT, TempDir, VMEXIT } from "../lib/vmexit.ts";

const PAGE = manPage("1.2.3", "2025-04-15");

for (const { purpose, commands, exitCode } of EXAMPLES) {
  kvmTest(`${purpose}: ${commands.at(-1)} ends with ${exitCode}`, async () => {
    using folder = new TempDir();
    const script = ['cd "$1"', ...commands].join("\n");
    const env = { PATH: `${dirname(VMEXIT)}:${Deno.env.get("PATH")}` };
    const { code, stderr } = await execute("bash", ["-c", script, "bash", folder.path], { env });
    assertEquals(code, exitCode, stderr);
    for (const command of commands) assertStringIncludes(PAGE, `\n${command}\n`);
  });
}

Deno.test("every kind of hole is explained", () => {
  const kinds = PAGE.slice(PAGE.indexOf("The kinds of\n.Fl -hole\n"));
  for (const kind of HOLE_KINDS) assertStringIncludes(kinds, `\n.It Cm ${kind}\n`);
});

Deno.test("the documents that it points to exist", () => {
  const paths = [...PAGE.matchAll(/^\.It Pa (.*)$/gm)].map(([, path]) => path!);
  assert(paths.length > 5);
  for (const path of paths) assert(existsSync(PROJECT + path), path);
});
