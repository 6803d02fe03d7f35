/**
 * Bundling: a miniature project with every feature of the real one.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { dirname, join } from "node:path";
import { bundleProgram } from "../../tools/bundle.ts";
import { execute, TempDir } from "../lib/vmexit.ts";

const SOURCES = {
  "deno.json": "{}",
  "main.ts": `
    const { start } = await import("./src/machine/start.ts");
    await start();
  `,
  "src/machine/start.ts": `
    import { greeting } from "../greeting.ts";
    export async function start(): Promise<void> {
      const worker = new Worker(new URL("./thread.ts", import.meta.url), { type: "module" });
      const said = new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
      worker.postMessage("vCPU 1");
      const asset = new URL("../../texts/", import.meta.url);
      const text = Deno.readTextFileSync(new URL("one.txt", asset));
      console.log(greeting("main"), "|", await said, "|", text);
      worker.terminate();
    }
  `,
  "src/machine/thread.ts": `
    import { greeting } from "../greeting.ts";
    // What new URL("./nothing.ts", import.meta.url) names does not matter here.
    globalThis.onmessage = ({ data }) => self.postMessage(greeting(data));
  `,
  "src/greeting.ts": `
    /**
     * new Worker(new URL("./none.ts", import.meta.url))
     */
    export const greeting = (name: string): string => "hello " + name;
  `,
  "texts/one.txt": "an asset",
};

/** A project with these sources, and others besides. */
function project(dir: TempDir, more: Record<string, string> = {}): string {
  for (const [name, text] of Object.entries({ ...SOURCES, ...more })) {
    const path = join(dir.path, "project", name);
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, text);
  }
  return join(dir.path, "project");
}

Deno.test("a bundle carries a Worker's module and assets, in one folder", async () => {
  using dir = new TempDir();
  const root = project(dir);
  const { files, assets } = await bundleProgram([], root);
  assert(files.has("thread.js"));
  assertEquals([...assets], [["texts", join(root, "texts/")]]);
  const folder = join(dir.path, "bundle");
  Deno.mkdirSync(folder);
  for (const [name, bytes] of files) Deno.writeFileSync(join(folder, name), bytes);
  Deno.renameSync(join(root, "texts"), join(folder, "texts"));
  Deno.removeSync(root, { recursive: true });
  const flags = ["run", "--quiet", "--no-prompt", "--no-config", "--allow-read"];
  const { stdout, stderr } = await execute(Deno.execPath(), [...flags, join(folder, "main.js")]);
  assertEquals(stdout, "hello main | hello vCPU 1 | an asset\n", stderr);
});

Deno.test("a script that is addressed is made for a browser, in one piece", async () => {
  using dir = new TempDir();
  const root = project(dir, {
    "src/cli/show.ts": `export const script = new URL("../page/page.js", import.meta.url);`,
    "src/page/page.ts": `import { greeting } from "../greeting.ts";
      document.title = greeting("browser");`,
  });
  const { files, assets } = await bundleProgram([], root);
  const script = new TextDecoder().decode(files.get("page.js"));
  assert(script.includes("hello ") && script.includes("document.title"), script);
  assertEquals(/\bimport\b/.test(script), false, script);
  assertEquals(assets.has("page.js"), false);
});

Deno.test("nothing of Node.js is loaded before a run needs it", async () => {
  const mapping = ["--import-map=std/npm.json", "--lock=deno.lock"];
  const { files } = await bundleProgram(mapping);
  const names = [...files.keys()];
  const waiting = ["main.js", names.find((name) => name.startsWith("run-"))!];
  const reached = new Set<string>();
  for (let name; (name = waiting.pop()) !== undefined;) {
    if (reached.has(name)) continue;
    reached.add(name);
    const code = new TextDecoder().decode(files.get(name));
    assertEquals(/(?:from|import)\s*"node:[^"]*"/.exec(code)?.[0], undefined, name);
    for (const [, other] of code.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) waiting.push(other!);
  }
  assert(reached.size > 10);
});

Deno.test("two paths with the same name in a bundle are an error", async () => {
  using dir = new TempDir();
  const source = `export const other = new URL("./texts/", import.meta.url);`;
  const root = project(dir, { "src/cli/other.ts": source });
  await assertRejects(() => bundleProgram([], root), Error, "the same name in a bundle");
});

Deno.test("a failed bundle is reported with its cause", async () => {
  using dir = new TempDir();
  const root = project(dir, { "src/greeting.ts": "export const nothing = ;" });
  await assertRejects(() => bundleProgram([], root), Error, "deno bundle failed");
});
