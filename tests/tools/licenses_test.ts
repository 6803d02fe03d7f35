/**
 * The licences of others' work in an executable.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { BuildError } from "../../tools/build_error.ts";
import { bundledPackages } from "../../tools/bundle.ts";
import { licenseText, thirdPartyLicenses } from "../../tools/licenses.ts";
import { PROJECT, TempDir } from "../lib/vmexit.ts";

const FLAGS = [`--import-map=${PROJECT}std/npm.json`, `--lock=${PROJECT}deno.lock`];
/** Packages that only tests and tools use. */
const NOT_IN_PROGRAM = ["echarts", "playwright-core"];

Deno.test("the bundle's packages are those that the sources import, and what these need", async () => {
  const packages = await bundledPackages(FLAGS);
  const names = packages.map(({ name }) => name);
  assertEquals(names, [...new Set(names)].sort());
  const wanted = Object.values(config.imports)
    .map((address) => /^npm:((?:@[^/]+\/)?[^@/]+)@([^/]+)/.exec(address))
    .filter((match) => match !== null)
    .filter(([, name]) => !NOT_IN_PROGRAM.includes(name!));
  for (const [, name, version] of wanted) {
    assertEquals(packages.find((each) => each.name === name)?.version, version, name);
  }
  // Needed by ajv.
  assert(names.includes("fast-uri"));
  assertEquals(names.filter((name) => NOT_IN_PROGRAM.includes(name)), []);
});

Deno.test("the licence of each is in the text, behind Deno's", async () => {
  const text = await thirdPartyLicenses(FLAGS);
  assertStringIncludes(text, `Deno ${Deno.version.deno} and its standard library\n`);
  assertStringIncludes(text, "Copyright 2018-2026 the Deno authors");
  for (const each of await bundledPackages(FLAGS)) {
    assertStringIncludes(text, `\n  ${each.name} ${each.version}\n`);
    assertStringIncludes(text, licenseText(each));
  }
  // The Lesser GPL is an addition to the GPL.
  assertEquals(
    text.includes("GNU LESSER GENERAL PUBLIC LICENSE"),
    /^ +GNU GENERAL PUBLIC LICENSE\n +Version 3, 29 June 2007$/m.test(text),
  );
});

Deno.test("a package without a licence is an error", () => {
  using dir = new TempDir();
  const nothing = { name: "nothing", version: "1.2.3", folder: dir.path };
  dir.file("package.json", '{ "license": "MIT" }');
  assertThrows(() => licenseText(nothing), BuildError, "nothing 1.2.3 has no licence in");
  dir.file("LICENCE.md", "Do as you please.\n");
  dir.file("NOTICE", "Made by the authors.\n");
  assertEquals(licenseText(nothing), "Do as you please.\n\nMade by the authors.");
});
