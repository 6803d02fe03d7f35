/**
 * The program's permissions are those that docs/cli.md lists.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { execute, PROJECT } from "./lib/vmexit.ts";
import { kvmTest } from "./lib/kvm.ts";

Deno.test("docs/cli.md shows the permissions of deno.json", () => {
  const page = Deno.readTextFileSync(`${PROJECT}docs/cli.md`);
  const [, shown] = /^```jsonc\n(.*?)^```$/ms.exec(page)!;
  assertEquals(JSON.parse(shown!), config.permissions);
});

Deno.test("the test runner may start programs, and is else no freer", () => {
  const { test, default: others } = config.permissions;
  assertEquals(test, { ...others, run: true });
});

Deno.test("neither the launcher nor the stub grants more than deno.json does", () => {
  for (const script of ["vmexit", "tools/stub.sh"]) {
    const text = Deno.readTextFileSync(PROJECT + script);
    assertEquals(text.match(/--allow-\w+| -A\b/g), null, script);
    assertStringIncludes(text, "-P=$permissions");
    assertStringIncludes(text, "--cached-only");
  }
});

/** Runs a bundled guest with these permissions. */
function run(...permissions: string[]): ReturnType<typeof execute> {
  const flags = ["run", "--quiet", "--no-prompt", "--allow-env=VMEXIT_STARTER", ...permissions];
  const packages = [`--import-map=${PROJECT}std/npm.json`, `--lock=${PROJECT}deno.lock`];
  const command = [`${PROJECT}main.ts`, "run", "-q", "hello"];
  return execute(Deno.execPath(), [...flags, ...packages, ...command]);
}

kvmTest("a bundled guest runs with the right to read and to call libraries", async () => {
  assertEquals((await run("--allow-read", "--allow-ffi")).code, 0);
});

kvmTest("without either it does not", async () => {
  assertStringIncludes((await run("--allow-ffi")).stderr, "Requires read access");
  assertStringIncludes((await run("--allow-read")).stderr, "Requires ffi access");
});

Deno.test("Deno cannot limit calls to one library: pointers need the right to all", async () => {
  const script = `
    const { symbols } = Deno.dlopen("LIBC", { getpid: { parameters: [], result: "i32" } });
    console.log(symbols.getpid() === Deno.pid);
    Deno.UnsafePointer.of(new Uint8Array(1));
  `;
  const libc = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"]
    .find((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    });
  const module = `data:text/javascript,${encodeURIComponent(script.replace("LIBC", libc!))}`;
  const flags = ["run", "--no-prompt", "--no-config", `--allow-ffi=${libc}`];
  const { stdout, stderr } = await execute(Deno.execPath(), [...flags, module]);
  assertEquals(stdout, "true\n");
  assertStringIncludes(stderr, "Requires ffi access, run again with the --allow-ffi flag");
});
