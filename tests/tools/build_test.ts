/**
 * What goes into the executable, and the choice of its kind; the self-extracting kind has
 * stub_test.ts.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { IMAGE_EXTENSIONS } from "../../src/cli/bundled_images.ts";
import { buildCompiled, buildSelfExtracting, type Files, programFiles } from "../../tools/build.ts";
import { BuildError } from "../../tools/build_error.ts";
import { elf } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { execute, PROJECT, TempDir } from "../lib/vmexit.ts";

const PACKAGES = [`--import-map=${PROJECT}std/npm.json`, `--lock=${PROJECT}deno.lock`];
const SMALL: Files = new Map([["main.js", new Uint8Array()], ["deno.json", new Uint8Array([123])]]);

Deno.test("the program comes with its permissions, licences and images, and with nothing else of images/", async () => {
  const files = await programFiles(PACKAGES);
  assert(files.has("main.js"));
  assertEquals(JSON.parse(new TextDecoder().decode(files.get("deno.json"))), {
    permissions: config.permissions,
  });
  assert(files.has("THIRD_PARTY_LICENSES.txt"));
  const images = [...files.keys()].filter((name) => name.startsWith("images/"));
  assert(images.includes("images/hello.elf"));
  assert(images.includes("images/fault/read.bin64"));
  for (const name of images) assert(IMAGE_EXTENSIONS.some((end) => name.endsWith(end)), name);
});

kvmTest("the program's folder is all that Deno needs to run it", async () => {
  using dir = new TempDir();
  for (const [name, bytes] of await programFiles(PACKAGES)) {
    Deno.mkdirSync(join(dir.path, name, ".."), { recursive: true });
    Deno.writeFileSync(join(dir.path, name), bytes);
  }
  const vmexit = (...args: string[]): ReturnType<typeof execute> =>
    execute(Deno.execPath(), [
      ...["run", "--quiet", "--no-prompt", "--cached-only", "--no-lock", "-P=default"],
      ...[`--config=${dir.path}/deno.json`, `${dir.path}/main.js`, ...args],
    ], { env: { DENO_DIR: `${dir.path}/cache` } });
  assertEquals((await vmexit("run", "-q", "hello")).stdout, "Hello, KVM!\n");
  // The decoder of instructions, which is WebAssembly.
  const fault = await vmexit("run", "-q", "--hole", "0x300000+0x1000:none", "fault/read");
  assertEquals(fault.code, 20, fault.stderr);
  assert(fault.stderr.includes('instruction="mov eax, [rdi+8]"'), fault.stderr);
});

/** A deno whose `compile` makes a program that says its version, and notes its arguments. */
function fakeDeno(dir: TempDir, version: string): string {
  const path = dir.file(
    "deno",
    `#!/bin/sh
for arg; do
  echo "$arg" >>"\${0%/*}/arguments"
  case $arg in --output=*) out=\${arg#*=} ;; esac
done
printf '#!/bin/sh\\necho ${version}\\n' >"$out"
chmod +x "$out"
`,
  );
  Deno.chmodSync(path, 0o755);
  return path;
}

Deno.test("compiling includes every file, and grants what the test runner needs", async () => {
  using dir = new TempDir();
  const out = join(dir.path, "vmexit");
  const deno = fakeDeno(dir, "vmexit 1.2.3");
  await buildCompiled({ files: SMALL, deno, version: "1.2.3" }, out);
  assertEquals((await execute(out, [])).stdout, "vmexit 1.2.3\n");
  const args = Deno.readTextFileSync(join(dir.path, "arguments")).trimEnd().split("\n");
  assertEquals(args[0], "compile");
  assert(args.includes("-P=test"));
  assert(args.some((arg) => /^--include=.*\/deno\.json$/.test(arg)));
  assert(args.at(-1)!.endsWith("/main.js"));
  assertEquals(args.filter((arg) => arg.startsWith("--allow-")), []);
});

/** An executable for Linux that prints a line, in a denort's place. */
function printer(line: string): Uint8Array {
  const text = new TextEncoder().encode(line + "\n");
  const bytes = new Uint8Array([
    ...[0xbf, 1, 0, 0, 0], // mov edi, 1
    ...[0x48, 0x8d, 0x35, 21, 0, 0, 0], // lea rsi, [rip+21]: the text
    ...[0xba, text.length, 0, 0, 0], // mov edx, its length
    ...[0xb8, 1, 0, 0, 0, 0x0f, 0x05], // write
    ...[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05], // exit(0)
    ...text,
  ]);
  // Where its place in the file has it in a page.
  return elf({ segments: [{ bytes, p_flags: 5, p_vaddr: 0x400078n, p_align: 1n }] });
}

Deno.test("deno compile itself takes every file in, and these permissions", async () => {
  using dir = new TempDir();
  const out = join(dir.path, "vmexit");
  const denort = dir.file("denort", printer("vmexit 1.2.3"));
  Deno.chmodSync(denort, 0o755);
  const files = await programFiles(PACKAGES);
  Deno.env.set("DENORT_BIN", denort);
  try {
    await buildCompiled({ files, deno: Deno.execPath(), version: "1.2.3" }, out);
  } finally {
    Deno.env.delete("DENORT_BIN");
  }
  const compiled = Buffer.from(Deno.readFileSync(out));
  for (const [name, bytes] of files) assert(compiled.includes(Buffer.from(bytes)), name);
  const [, granted] = /"permissions":(\{"allow_env".*?\})/.exec(compiled.toString("latin1"))!;
  const { allow_import: _, prompt, ...lists } = JSON.parse(granted!);
  assertEquals(prompt, false);
  // An empty list stands for all.
  assertEquals(Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== null)), {
    allow_env: config.permissions.test.env,
    allow_ffi: [],
    allow_read: [],
    allow_run: [],
    allow_write: [],
  });
});

Deno.test("a compiled file that is not vmexit is deleted", async () => {
  using dir = new TempDir();
  const out = join(dir.path, "out");
  const parts = { files: SMALL, deno: fakeDeno(dir, "deno 2.9.6"), version: "1.2.3" };
  await assertRejects(() => buildCompiled(parts, out), BuildError, "is not vmexit, but deno 2.9.6");
  assertEquals(Array.from(Deno.readDirSync(dir.path), ({ name }) => name).sort(), [
    "arguments",
    "deno",
  ]);
});

Deno.test("the same parts make the same executable", async () => {
  using dir = new TempDir();
  const parts = { files: SMALL, deno: fakeDeno(dir, ""), version: "1.2.3" };
  const made: Uint8Array[] = [];
  for (const name of ["one", "two"]) {
    await buildSelfExtracting(parts, join(dir.path, name));
    made.push(Deno.readFileSync(join(dir.path, name)));
  }
  assertEquals(made[0], made[1]);
});
