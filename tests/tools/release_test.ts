/**
 * What is released beside the executable.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { COMMANDS } from "../../src/cli/options/options.ts";
import { EXIT_CODES } from "../../src/exit_codes.ts";
import { manPage } from "../../tools/man_page.ts";
import { checksumLines, releaseTexts } from "../../tools/release.ts";
import { execute, TempDir } from "../lib/vmexit.ts";

const PAGE = manPage("1.2.3", "2025-04-15");

Deno.test("the manual page has every command, option and exit code", () => {
  for (const { name, options } of COMMANDS) {
    assertStringIncludes(PAGE, `\n.Ss ${name}\n`);
    for (const option of options) {
      assert(new RegExp(`^\\.It .*Fl -${option.name}( |$)`, "m").test(PAGE), option.name);
    }
  }
  const codes = ["odd", ...Object.values(EXIT_CODES).map(({ code }) => String(code))];
  const listed = [...PAGE.slice(PAGE.indexOf(".Sh EXIT STATUS")).matchAll(/^\.It (\d+|odd)$/gm)];
  assertEquals(listed.map(([, code]) => code!).sort(), codes.sort());
  assertStringIncludes(PAGE, "\n.It 20\nmemory fault\n");
  assertStringIncludes(PAGE, "\n.It 0\nthe guest ended well: final HLT, power-off, reset\n");
});

for (
  const [tool, ...args] of [
    ["mandoc", "-T", "lint", "-W", "warning"],
    ["groff", "-mdoc", "-ww", "-z"],
  ]
) {
  Deno.test({
    name: `${tool} has nothing to say about the manual page (needs ${tool})`,
    ignore: !existsSync(`/usr/bin/${tool}`),
    fn: async () => {
      using dir = new TempDir();
      const { code, stdout, stderr } = await execute(tool!, [...args, dir.file("vmexit.1", PAGE)]);
      assertEquals([code, stderr], [0, ""]);
      if (tool === "mandoc") assertEquals(stdout, "");
    },
  });
}

Deno.test("the same version and date make the same texts", () => {
  const texts = releaseTexts("1.2.3", "2025-04-15");
  assertEquals([...texts], [...releaseTexts("1.2.3", "2025-04-15")]);
  assertEquals(texts.get("vmexit.1"), PAGE);
});

Deno.test("sha256sum agrees with the checksums", async () => {
  using dir = new TempDir();
  dir.file("a", "one");
  dir.file("b c", "two");
  const sums = dir.file("SHA256SUMS", checksumLines(dir.path, ["a", "b c"]));
  const check = (): ReturnType<typeof execute> =>
    execute("sh", ["-c", 'cd "$1" && sha256sum -c "$2"', "sh", dir.path, sums]);
  assertEquals((await check()).code, 0);
  dir.file("b c", "three");
  assertEquals((await check()).code, 1);
});
