/**
 * Exit codes: code, help and documentation have them from one table.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { commandHelp, generalHelp } from "../src/cli/commands/help.ts";
import { RUN } from "../src/cli/options/options.ts";
import { EXIT_CODES } from "../src/exit_codes.ts";

const PROJECT = new URL("../", import.meta.url);

function documents(): string[] {
  const docs = [...Deno.readDirSync(new URL("docs/", PROJECT))]
    .filter(({ name }) => name.endsWith(".md"))
    .map(({ name }) => `docs/${name}`);
  return ["README.md", ...docs].map((path) => Deno.readTextFileSync(new URL(path, PROJECT)));
}

Deno.test("each code but a guest's own is even, in a byte, and given once", () => {
  const codes = Object.values(EXIT_CODES).map(({ code }) => code as number);
  assertEquals(codes.filter((code) => code % 2 !== 0 || code < 0 || code > 254), []);
  assertEquals(codes, [...new Set(codes)].sort((a, b) => a - b));
});

Deno.test("the help has every code with its meaning", () => {
  for (const help of [generalHelp(), commandHelp(RUN)]) {
    for (const { code, meaning } of Object.values(EXIT_CODES)) {
      assertStringIncludes(help, `${code}`.padEnd(5) + meaning);
    }
  }
});

Deno.test("the documentation has one table of exit codes, and it is this one", () => {
  const tables = documents()
    .flatMap((text) => text.split(/^## /m))
    .filter((section) => section.startsWith("Exit codes\n"))
    .map((section) => [...section.matchAll(/^\| (\d+|odd) +\|/gm)].map(([, code]) => code!));
  const [success, ...others] = Object.values(EXIT_CODES).map(({ code }) => String(code));
  assertEquals(tables, [[success!, "odd", ...others]]);
});
