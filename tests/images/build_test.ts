/**
 * The committed guest images are what their sources give.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { checkImage, imageFile, images, missingTools } from "../../images/build.ts";

const missing = await missingTools();

for (const name of images.keys()) {
  Deno.test({
    name: `images/${name} is, byte for byte, what its source gives` +
      (missing === undefined ? "" : ` (ignored: ${missing})`),
    ignore: missing !== undefined,
    fn: async () => assertEquals(await checkImage(name), undefined),
  });
}

Deno.test("every source is in the table of images, and every image has a source", async () => {
  const sources: string[] = [];
  for await (const { name } of Deno.readDir(imageFile("src/"))) {
    if (name.endsWith(".S")) sources.push(name.slice(0, -".S".length));
  }
  assertEquals(sources.sort(), [...images.keys()].sort());
});

Deno.test("every committed image is in the table of images", async () => {
  const files: string[] = [];
  for await (const { name, isFile } of Deno.readDir(imageFile("."))) {
    if (isFile && !/\.(ts|md)$/.test(name)) files.push(name);
  }
  assertEquals(files.sort(), [...images.keys()].sort());
});
