/**
 * The two mappings of the same bare specifiers: deno.json, and std/npm.json for networks without
 * JSR.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { walkSync } from "@std/fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

function readJson(path: string): Record<string, Record<string, unknown>> {
  return JSON.parse(Deno.readTextFileSync(root + path));
}

const jsr = readJson("deno.json").imports as Record<string, string>;
const npm = readJson("std/npm.json").imports as Record<string, string>;

function isStd([specifier]: [string, string]): boolean {
  return specifier.startsWith("@std/");
}

/** `@std/cli` of `@std/cli/parse-args`. */
function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, 2).join("/");
}

Deno.test("both mappings have the same npm packages, in the same versions", () => {
  const others = (map: Record<string, string>): unknown =>
    Object.fromEntries(Object.entries(map).filter((entry) => !isStd(entry)));
  assertEquals(others(jsr), others(npm));
  for (const [specifier, target] of Object.entries(npm)) {
    if (!isStd([specifier, target])) assertMatch(target, /^npm:.+@\d+\.\d+\.\d+(\/.+)?$/);
  }
});

Deno.test("deno.json pins a version of each @std package that has a stand-in, and of no other", () => {
  const pinned = Object.entries(jsr).filter(isStd);
  for (const [specifier, target] of pinned) {
    assertMatch(target, new RegExp(`^jsr:${specifier}@\\d+\\.\\d+\\.\\d+$`));
  }
  const standIns = Object.entries(npm).filter(isStd).map(([specifier]) => packageOf(specifier));
  assertEquals(pinned.map(([specifier]) => specifier).sort(), [...new Set(standIns)].sort());
});

Deno.test("every @std module that the sources import has a stand-in", () => {
  for (const { path } of walkSync(root, { exts: [".ts"], skip: [/\/\./] })) {
    const source = Deno.readTextFileSync(path);
    for (const [, specifier] of source.matchAll(/^(?:import|export|\}).* from "(@std\/.+)";$/gm)) {
      assert(specifier! in npm, `${path} imports ${specifier}, which is not in std/npm.json`);
    }
  }
});

Deno.test("deno.lock holds every npm package of the mappings", () => {
  const locked = readJson("deno.lock").specifiers;
  for (const [specifier, target] of Object.entries(npm)) {
    if (isStd([specifier, target])) continue;
    const [wanted] = /^npm:.+@[\d.]+/.exec(target)!;
    assert(wanted in locked!, `${wanted} is not in deno.lock`);
  }
});
