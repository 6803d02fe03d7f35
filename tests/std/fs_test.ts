/**
 * What this project relies on in `@std/fs`. The tests pass on the real package and on its
 * stand-in alike, whichever of them the mapping in use names.
 *
 * @module
 */

import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import {
  emptyDir,
  ensureDir,
  ensureDirSync,
  exists,
  existsSync,
  expandGlob,
  type ExpandGlobOptions,
  walk,
  type WalkEntry,
  type WalkOptions,
  walkSync,
} from "@std/fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";

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

Deno.test("exists tells whether there is a file or folder, by path or URL", async () => {
  using tree = new Tree("file", "dir/", "link -> file", "broken -> nothing");
  for (const [name, expected] of Object.entries({ file: true, dir: true, link: true, no: false })) {
    assertEquals(await exists(tree.at(name)), expected, name);
    assertEquals(existsSync(tree.at(name)), expected, name);
    assertEquals(await exists(pathToFileURL(tree.at(name))), expected, name);
  }
  assertFalse(await exists(tree.at("broken")));
  assertFalse(existsSync(tree.at("broken")));
});

Deno.test("exists asks for a file or for a folder, through links too", async () => {
  using tree = new Tree("file", "dir/", "link -> dir");
  assert(await exists(tree.at("file"), { isFile: true }));
  assertFalse(await exists(tree.at("file"), { isDirectory: true }));
  assert(await exists(tree.at("dir"), { isDirectory: true }));
  assertFalse(await exists(tree.at("dir"), { isFile: true }));
  assert(existsSync(tree.at("link"), { isDirectory: true }));
  assertFalse(existsSync(tree.at("no"), { isFile: true }));
  const both = { isFile: true, isDirectory: true };
  await assertRejects(() => exists(tree.at("file"), both), TypeError);
  assertThrows(() => existsSync(tree.at("file"), both), TypeError);
});

Deno.test("exists asks for the permission to read", async () => {
  using tree = new Tree("open", "shut");
  Deno.chmodSync(tree.at("shut"), 0o200);
  assert(await exists(tree.at("open"), { isReadable: true }));
  assertFalse(await exists(tree.at("shut"), { isReadable: true }));
  assertFalse(existsSync(tree.at("shut"), { isReadable: true, isFile: true }));
  assert(existsSync(tree.at("shut")));
});

Deno.test("ensureDir creates a folder with its parents, and leaves an existing one", async () => {
  using tree = new Tree("kept/", "kept/file", "link -> kept");
  await ensureDir(tree.at("a/b"));
  ensureDirSync(tree.at("c/d"));
  for (const path of ["kept", "link", "a"]) await ensureDir(tree.at(path));
  for (const path of ["kept", "link", "a"]) ensureDirSync(pathToFileURL(tree.at(path)));
  assertEquals(tree.names(walkSync(tree.root, { includeSymlinks: false })), [
    ".",
    "a",
    "a/b",
    "c",
    "c/d",
    "kept",
    "kept/file",
  ]);
});

Deno.test("ensureDir fails where a file is in the way", async () => {
  using tree = new Tree("file");
  await assertRejects(() => ensureDir(tree.at("file")), Error);
  assertThrows(() => ensureDirSync(tree.at("file")), Error);
  await assertRejects(() => ensureDir(tree.at("file/a")), Error);
});

Deno.test("emptyDir removes what is in a folder, or creates it", async () => {
  using tree = new Tree("dir/a/b/", "dir/file", "dir/a/file", "kept", "dir/link -> ../kept");
  await emptyDir(tree.at("dir"));
  await emptyDir(pathToFileURL(tree.at("new/dir")));
  assertEquals(tree.names(walkSync(tree.root)), [".", "dir", "kept", "new", "new/dir"]);
});

/** What `walk` yields, after checking that `walkSync` yields the same. */
async function walked(tree: Tree, options?: WalkOptions): Promise<string[]> {
  const names = tree.names(await Array.fromAsync(walk(tree.root, options)));
  assertEquals(tree.names(walkSync(tree.root, options)), names);
  return names;
}

Deno.test("walk yields a folder and all that is in it", async () => {
  using tree = new Tree("a/b/", "a/b/one.ts", "a/two.ts", "three.js", "link -> a");
  const all = [".", "a", "a/b", "a/b/one.ts", "a/two.ts", "link", "three.js"];
  assertEquals(await walked(tree), all);
  assertEquals(tree.names(walkSync(pathToFileURL(tree.root))), all);
});

Deno.test("walk tells what each entry is", () => {
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

Deno.test("walk leaves out kinds of entries, and stops at a depth", async () => {
  using tree = new Tree("a/b/", "a/one", "link -> a");
  assertEquals(await walked(tree, { includeDirs: false }), ["a/one", "link"]);
  assertEquals(await walked(tree, { includeFiles: false }), [".", "a", "a/b", "link"]);
  assertEquals(await walked(tree, { includeSymlinks: false }), [".", "a", "a/b", "a/one"]);
  assertEquals(await walked(tree, { maxDepth: 1 }), [".", "a", "link"]);
  assertEquals(await walked(tree, { maxDepth: 0 }), ["."]);
  assertEquals(await walked(tree, { maxDepth: -1 }), []);
});

Deno.test("walk chooses by extension and by pattern", async () => {
  using tree = new Tree("a/", "a/one.ts", "two.ts", "three.js", "skip/", "skip/four.ts");
  assertEquals(await walked(tree, { exts: ["ts"] }), ["a/one.ts", "skip/four.ts", "two.ts"]);
  assertEquals(await walked(tree, { exts: [".js"] }), ["three.js"]);
  assertEquals(await walked(tree, { match: [/one/, /three/] }), ["a/one.ts", "three.js"]);
  assertEquals(await walked(tree, { skip: [/skip$/], includeDirs: false }), [
    "a/one.ts",
    "three.js",
    "two.ts",
  ]);
});

Deno.test("walk follows links on demand", async () => {
  using tree = new Tree("a/", "a/one", "b/", "b/link -> ../a");
  assertEquals(await walked(tree, { followSymlinks: true, includeDirs: false }), [
    "a/one",
    "a/one",
  ]);
});

Deno.test("walk fails where there is no folder", async () => {
  using tree = new Tree();
  await assertRejects(() => Array.fromAsync(walk(tree.at("no"))), Deno.errors.NotFound);
  assertThrows(() => [...walkSync(tree.at("no"))], Deno.errors.NotFound);
});

Deno.test("expandGlob yields what matches, sorted by path", async () => {
  using tree = new Tree("a/b/", "a/b/z.ts", "a/y.ts", "x.ts", ".h.ts", "q.js", "l -> a");
  const expand = async (glob: string, options?: ExpandGlobOptions): Promise<string[]> => {
    const entries = await Array.fromAsync(expandGlob(glob, { root: tree.root, ...options }));
    return entries.map(({ path }) => relative(tree.root, path) || ".");
  };
  assertEquals(await expand("*.ts"), [".h.ts", "x.ts"]);
  assertEquals(await expand("**/*.ts"), [".h.ts", "a/b/z.ts", "a/y.ts", "x.ts"]);
  assertEquals(await expand("a/**"), ["a", "a/b", "a/b/z.ts", "a/y.ts"]);
  assertEquals(await expand("a/**", { includeDirs: false }), ["a/b/z.ts", "a/y.ts"]);
  assertEquals(await expand("{x,q}.?s"), ["q.js", "x.ts"]);
  assertEquals(await expand("[p-r].js"), ["q.js"]);
  assertEquals(await expand("*/"), ["a"]);
  assertEquals(await expand("a/y.ts"), ["a/y.ts"]);
  assertEquals(await expand("no/*"), []);
  assertEquals(await expand("**/*.ts", { exclude: ["a/b", "x.*"] }), [".h.ts", "a/y.ts"]);
  assertEquals(await expand(join(tree.root, "a", "*.ts")), ["a/y.ts"]);
});
