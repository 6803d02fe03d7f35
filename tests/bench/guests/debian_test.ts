import { assertEquals, assertRejects } from "@std/assert";
import { DebianPackages, fileIn } from "../../../bench/guests/debian.ts";
import { TempDir } from "../../lib/vmexit.ts";

Deno.test("what was unpacked before is not fetched again", async () => {
  using folder = new TempDir();
  await Deno.mkdir(`${folder.path}/no-such-package`);
  const debian = new DebianPackages(folder.path);
  assertEquals(await debian.unpack("no-such-package"), `${folder.path}/no-such-package`);
});

Deno.test("a file is found by a pattern of its name, and a missing one is named", async () => {
  using folder = new TempDir();
  await Deno.writeTextFile(`${folder.path}/vmlinuz-6`, "");
  assertEquals(await fileIn(folder.path, /^vmlinuz/), `${folder.path}/vmlinuz-6`);
  await assertRejects(() => fileIn(folder.path, /^xen/), Error, "no file ^xen");
});
