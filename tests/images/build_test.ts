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

/** The files below a folder of `images`, as paths from there. */
async function filesBelow(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(imageFile(folder))) {
    if (isDirectory) {
      for (const path of await filesBelow(`${folder}${name}/`)) paths.push(`${name}/${path}`);
    } else {
      paths.push(name);
    }
  }
  return paths;
}

Deno.test("every source is in the table of images, and every image has a source", async () => {
  const files = (await filesBelow("src/")).filter((path) => path.endsWith(".S"));
  const sources = new Set([...images].map(([name, form]) => `${form.source ?? name}.S`));
  assertEquals(files.sort(), [...sources].sort());
});

Deno.test("every committed image is in the table of images", async () => {
  const files = (await filesBelow("./")).filter((path) => !/^src\/|\.(ts|md)$/.test(path));
  assertEquals(files.sort(), [...images.keys()].sort());
});
