/**
 * The floors of docs/architecture.md hold: no import climbs, and no circle of files exists.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { walkSync } from "@std/fs";
import { dirname, join, relative } from "node:path";
import { blocks, document } from "./lib/docs.ts";
import { PROJECT } from "./lib/vmexit.ts";

/** Rooms by their floor, the lowest first. */
const FLOORS = blocks(document("docs/architecture.md"), "floors")[0]!
  .trimEnd()
  .split("\n")
  .map((line) => line.split("  ")[0]!.split(", "))
  .reverse();

/** A file's imports of other files, each with whether it is of types alone. */
type Imports = Map<string, Map<string, boolean>>;

function importsOf(path: string): Map<string, boolean> {
  const text = Deno.readTextFileSync(PROJECT + path).replace(/^\s*\/?\*.*$/gm, "");
  const imports = new Map<string, boolean>();
  const statements =
    /^(?:import|export)\s+(type\s)?[^;"]*?from\s+"(\.[^"]+\.ts)";|\bimport\("(\.[^"]+)"\)/gm;
  for (const [, type, file, lazy] of text.matchAll(statements)) {
    const target = join(dirname(path), file ?? lazy!);
    imports.set(target, (imports.get(target) ?? true) && type !== undefined);
  }
  return imports;
}

const files: Imports = new Map();
for (const room of ["ffi", "src"]) {
  for (const { path } of walkSync(PROJECT + room, { exts: [".ts"], includeDirs: false })) {
    const name = relative(PROJECT, path);
    files.set(name, importsOf(name));
  }
}

/** The room of a file: `kvm`, `ffi`, `mod.ts`. Files of `src` itself serve all rooms. */
function roomOf(path: string): string {
  const [top, room] = path.split("/");
  return top === "src" ? room! : top!;
}

function floorOf(path: string): number | undefined {
  const floor = FLOORS.findIndex((rooms) => rooms.includes(roomOf(path)));
  return floor === -1 ? undefined : floor;
}

Deno.test("every room has a floor", () => {
  const without = [...files.keys()].filter((path) => floorOf(path) === undefined);
  // Small helpers that import nothing but each other.
  assertEquals(without.filter((path) => path.split("/").length > 2 || path.startsWith("ffi")), []);
  for (const path of without) {
    for (const target of files.get(path)!.keys()) assertEquals(floorOf(target), undefined, path);
  }
});

Deno.test("no import climbs", () => {
  const climbing = [...files].flatMap(([path, imports]) =>
    [...imports.keys()]
      .filter((target) => (floorOf(target) ?? -1) > (floorOf(path) ?? -1))
      .map((target) => `${path} imports ${target}`)
  );
  assertEquals(climbing, []);
});

Deno.test("no circle of files exists", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) {
      circles.push([...way.slice(way.indexOf(path)), path].join(" -> "));
    } else if (!done.has(path)) {
      for (const target of files.get(path)?.keys() ?? []) visit(target, [...way, path]);
      done.add(path);
    }
  };
  for (const path of files.keys()) visit(path, []);
  assertEquals(circles, []);
});
