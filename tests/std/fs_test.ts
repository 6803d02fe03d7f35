/**
 * What this project relies on in `@std/fs`. The tests pass on the real package and on its
 * stand-in alike, whichever of them the mapping in use names.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { existsSync, type WalkEntry, walkSync } from "@std/fs";
import { join, relative } from "node:path";

/** A folder of a test's own; a path that ends in "/" is a folder in it, and "a -> b" a link. */
class Tree {
  readonly root = Deno.makeTempDirSync();

  constructor(...paths: string[]) {
    for (const path of paths) {
      const [name, target] = path.split(" -> ");
      if (target !== undefined) Deno.symlinkSync(target, this.at(name!));
      else if (path.endsWith("/")) Deno.mkdirSync(this.at(path), { recursive: true });
      else Deno.writeTextFileSync(this.at(path), path);
    }
  }

  at(path: string): string {
    return join(this.root, path);
  }

  /** The paths of entries as seen from the root, in order. */
  names(entries: Iterable<WalkEntry>): string[] {
    return Array.from(entries, ({ path }) => relative(this.root, path) || ".").sort();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

Deno.test("existsSync tells whether there is a file or folder, through links too", () => {
  using tree = new Tree("file", "dir/", "link -> file", "broken -> nothing");
  const expected = { file: true, dir: true, link: true, broken: false, no: false };
  for (const [name, isThere] of Object.entries(expected)) {
    assertEquals(existsSync(tree.at(name)), isThere, name);
  }
});

Deno.test("walkSync yields a folder and all that is in it, and follows no link", () => {
  using tree = new Tree("a/b/", "a/b/one.ts", "a/two.ts", "three.js", "link -> a");
  const all = [".", "a", "a/b", "a/b/one.ts", "a/two.ts", "link", "three.js"];
  assertEquals(tree.names(walkSync(tree.root)), all);
});

Deno.test("walkSync tells what each entry is", () => {
  using tree = new Tree("dir/", "file", "link -> file");
  const kinds = Array.from(
    walkSync(tree.root),
    (e) => [e.path, e.name, e.isFile, e.isDirectory, e.isSymlink],
  );
  const name = relative(join(tree.root, ".."), tree.root);
  assertEquals(kinds.toSorted(), [
    [tree.root, name, false, true, false],
    [tree.at("dir"), "dir", false, true, false],
    [tree.at("file"), "file", true, false, false],
    [tree.at("link"), "link", false, false, true],
  ]);
});

Deno.test("walkSync chooses by kind, by extension and by pattern", () => {
  using tree = new Tree("a/", "a/one.ts", "two.ts", "three.js", "skip/", "skip/four.ts");
  const walked = (options: Parameters<typeof walkSync>[1]): string[] =>
    tree.names(walkSync(tree.root, options));
  assertEquals(walked({ exts: [".ts"] }), ["a/one.ts", "skip/four.ts", "two.ts"]);
  assertEquals(walked({ skip: [/skip$/], includeDirs: false }), ["a/one.ts", "three.js", "two.ts"]);
});

Deno.test("walkSync fails without the folder", () => {
  using tree = new Tree();
  assertThrows(() => [...walkSync(tree.at("no"))], Deno.errors.NotFound);
});
