/**
 * The self-extracting executable on a bare host: no checkout, no Deno, no home but an
 * empty one. It does what `./vmexit` does; `./dev test:dist` runs all tests of the command line on
 * such an executable.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { buildSelfExtracting, programFiles } from "../../tools/build.ts";
import { kvmTest } from "../lib/kvm.ts";
import { canMount, without } from "../lib/mounts.ts";
import { execute, PROJECT, type Result, TempDir, VMEXIT } from "../lib/vmexit.ts";

const PACKAGES = [`--import-map=${PROJECT}std/npm.json`, `--lock=${PROJECT}deno.lock`];

/** A line of a shell, run in a folder with this program as `vmexit`. */
function line(program: string, folder: string, script: string, ...env: string[]): string[] {
  const all = `vmexit() { "$VMEXIT" "$@"; }; cd "$1" && { ${script}\n}`;
  return ["env", `VMEXIT=${program}`, ...env, "bash", "-o", "pipefail", "-c", all, "bash", folder];
}

/** What these print is the same in every run. */
const SAME = [
  "vmexit --version",
  "vmexit help run",
  "vmexit completions fish",
  "vmexit inspect linux-info",
  "vmexit run -q hello",
  "vmexit run -q exit",
  "vmexit run -q nothing",
  "vmexit run -q --timeout 100ms spin",
  "vmexit run -q -c 4 smp/storm 2>&1 >/dev/null",
  "vmexit run -q -c 4 smp/storm | head -c 0",
  // WebAssembly: the decoder of instructions.
  "vmexit run -q --hole 0x300000+0x1000:none fault/read",
  "echo typed | vmexit run -q echo",
];

const SUITE = `
[[test]]
name = "passes"
image = "hello"
exits = { IO = 12 }
[[test]]
name = "fails"
image = "exit"
exit = 3
`;

const test = await canMount() ? kvmTest : Deno.test.ignore;
test(
  "an executable works on a bare host (needs the right to mount)",
  async (t) => {
    using dir = new TempDir();
    const executable = join(dir.path, "vmexit");
    const files = await programFiles(PACKAGES);
    await buildSelfExtracting(
      { files, deno: Deno.execPath(), version: config.version },
      executable,
    );
    dir.file("suite.toml", SUITE);

    const cache = `XDG_CACHE_HOME=${join(dir.path, "cache")}`;
    const packed = (script: string): Promise<Result> => {
      const [program, ...args] = without(
        PROJECT,
        ...without(Deno.execPath(), ...line(executable, dir.path, script, cache)),
      );
      return execute(program!, args);
    };
    const first = await packed(`ls ${PROJECT}; vmexit --version`);
    assertEquals(first.stdout, `vmexit ${config.version}\n`);
    assertStringIncludes(first.stderr, "unpacking into");

    for (const script of SAME) {
      await t.step(script, async () => {
        const [program, ...args] = line(VMEXIT, dir.path, script);
        const { code, stdout, stderr } = await execute(program!, args);
        const here = await packed(script);
        assertEquals([here.code, here.stdout, here.stderr], [code, stdout, stderr]);
      });
    }

    await t.step("vmexit test starts itself, and says how to repeat a failure", async () => {
      const { code, stdout } = await packed("vmexit test --jobs 2 --artefacts left suite.toml");
      assertEquals(code, 1, stdout);
      assertStringIncludes(stdout, "1 passed, 1 failed");
      const [, repeat] = /^ *repeat +\((.*)\)$/m.exec(stdout)!;
      assert(repeat!.startsWith(`cd ${dir.path} && ${executable} run `), repeat);
      assertEquals((await packed(repeat!)).code, 67);
    });

    await t.step("vmexit report makes both its kinds", async () => {
      const { stdout } = await packed(`
      vmexit run --format json --trace-file trace.jsonl hello
      vmexit report trace.jsonl -o page.html
      vmexit report --to perfetto trace.jsonl`);
      assertStringIncludes(stdout, "Hello, KVM!\n");
      assertStringIncludes(Deno.readTextFileSync(join(dir.path, "page.html")), "<!DOCTYPE html>");
      assert(JSON.parse(stdout.slice(stdout.indexOf("{"))).traceEvents.length > 0);
    });

    await t.step("vmexit doctor finds KVM usable", async () => {
      assertEquals((await packed("vmexit doctor")).code, 0);
    });
  },
);
