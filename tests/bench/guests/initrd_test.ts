import { assertEquals, assertStringIncludes } from "@std/assert";
import { makeInitrd } from "../../../bench/guests/initrd.ts";
import { TempDir } from "../../lib/vmexit.ts";

Deno.test("the initial RAM disk is what busybox's cpio makes of /init and /bin/busybox", async () => {
  using folder = new TempDir();
  // Stands in for busybox: says what it was called with and what the tree holds.
  const busybox = `${folder.path}/busybox`;
  await Deno.writeTextFile(busybox, '#!/bin/sh\necho "$@"\nsort\ncat init\n', { mode: 0o755 });
  const archive = await makeInitrd(busybox, folder.path);
  assertEquals(archive, `${folder.path}/initrd.cpio`);
  const made = await Deno.readTextFile(archive);
  assertStringIncludes(
    made,
    "cpio -o -H newc\n.\n./bin\n./bin/busybox\n./init\n#!/bin/busybox sh\n",
  );
});
