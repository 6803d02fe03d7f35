/**
 * Example images by name.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { images } from "../../images/build.ts";
import { bundledImages, findBundledImage, shortNames } from "../../src/cli/bundled_images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { bash, image, TempDir, vmexit } from "../lib/vmexit.ts";

Deno.test("every image that is built can be run by its name", () => {
  const bootable = [...images.keys()].filter((name) => !name.endsWith(".bin"));
  assertEquals(bundledImages().sort(), bootable.sort());
});

Deno.test("of the images that differ in their ends alone a short name means one", () => {
  assertEquals(findBundledImage("hello")?.name, "hello.elf");
  assertEquals(findBundledImage("hello.bin16")?.name, "hello.bin16");
  assertEquals(findBundledImage("regs")?.name, "regs.bin64");
  assertEquals(findBundledImage("linux-info")?.name, "linux-info.bzimage");
  assertEquals(findBundledImage("fault/read")?.name, "fault/read.bin64");
  assert(shortNames().every((name) => findBundledImage(name)));
  assertEquals(shortNames().length, new Set(shortNames()).size);
});

Deno.test("a name cannot lead out of the folder, or to a file that is not an image", () => {
  for (
    const name of ["", ".", "..", "../images/hello", "./hello", "README", "README.md", "fault"]
  ) {
    assertEquals(findBundledImage(name), undefined, name);
  }
});

Deno.test("without a folder of images there are none", () => {
  assertEquals(bundledImages("/nonexistent/"), []);
  assertEquals(findBundledImage("hello", "/nonexistent/"), undefined);
});

kvmTest(
  "a bundled image runs by its name from any folder, and a file of that name wins",
  async () => {
    using dir = new TempDir();
    assertEquals((await bash('cd "$1" && vmexit run -q hello', dir.path)).stdout, "Hello, KVM!\n");
    dir.file("hello", Deno.readFileSync(image("exit.bin64")));
    const { code } = await bash('cd "$1" && vmexit run -q --boot flat64 hello', dir.path);
    assertEquals(code, 67);
  },
);

Deno.test("inspect knows bundled images too", async () => {
  assertStringIncludes((await vmexit("inspect", "pvh-info")).stdout, "image    pvh-info.pvh, ");
});

Deno.test("an unknown name is answered with the bundled images", async () => {
  const { code, lines } = await vmexit("run", "nosuch");
  assertEquals([code, lines.length], [4, 1]);
  assertStringIncludes(lines[0]!, "vmexit: nosuch does not exist");
  for (const name of shortNames()) assertStringIncludes(lines[0]!, name);
  assertEquals((await vmexit("run", "no/such")).lines, ["vmexit: no/such does not exist"]);
});
