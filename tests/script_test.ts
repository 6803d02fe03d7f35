/**
 * Scripts in any folder, that use the library of a checkout elsewhere.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { kvmTest } from "./lib/kvm.ts";
import { PROJECT, TempDir } from "./lib/vmexit.ts";

const SCRIPT = `
import { type Exit, Machine } from "@vmexit/vmexit";

using vm = Machine.create({ memory: "1M" });
vm.load(await Deno.readFile(Deno.args[0]!), { protocol: "flat16" });
const reasons: Exit["reason"][] = Array.from(vm.exits(), ({ reason }) => reason);
console.log(reasons.join(), Deno.args[1]);
`;

/** Runs `dev` in a folder, without the network. */
async function dev(folder: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(`${PROJECT}dev`, {
    args,
    cwd: folder,
    stdin: "null",
    env: { NO_COLOR: "1", HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" },
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

kvmTest("dev script runs a script in the caller's folder, typed or not", async () => {
  using folder = new TempDir();
  const lock = Deno.readTextFileSync(`${PROJECT}deno.lock`);
  Deno.writeTextFileSync(`${folder.path}/count.ts`, SCRIPT);
  Deno.writeFileSync(`${folder.path}/guest.bin`, Uint8Array.of(0xe6, 0x10, 0xf4)); // out; hlt
  for (const options of [[], ["--check"]]) {
    const ran = await dev(folder.path, "script", ...options, "count.ts", "guest.bin", "two words");
    assertEquals(ran, { code: 0, stdout: "IO,HLT two words\n", stderr: "" });
  }
  assertEquals([...Deno.readDirSync(folder.path)].length, 2, "nothing else was written there");
  assertEquals(Deno.readTextFileSync(`${PROJECT}deno.lock`), lock);
});

Deno.test("dev script without a script says how to call it", async () => {
  const { code, stderr } = await dev(".", "script");
  assertEquals(code, 2);
  assertStringIncludes(stderr, "usage: path/to/vmexit/dev script FILE");
});
