import { assertEquals, assertThrows } from "@std/assert";
import { paddedMultiboot } from "../../bench/padded_image.ts";
import { elf, imageFile } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TempDir, vmexit } from "../lib/vmexit.ts";

Deno.test("a padded image has the size that was asked for", () => {
  assertEquals(paddedMultiboot(imageFile("bench/exits.mb"), 5000).length, 5000);
});

Deno.test("an image that is too large already, or not one segment, is refused", () => {
  const image = imageFile("bench/exits.mb");
  assertThrows(() => paddedMultiboot(image, 100), RangeError, "not 100");
  const two = elf({ bits: 32, segments: [{}, {}] });
  assertThrows(() => paddedMultiboot(two, 5000), RangeError, "2 segments");
});

for (const sizeBytes of [1 << 10, 4 << 20]) {
  kvmTest(`an image padded to ${sizeBytes} bytes still runs`, async () => {
    using folder = new TempDir();
    const path = `${folder.path}/padded.mb`;
    await Deno.writeFile(path, paddedMultiboot(imageFile("bench/exits.mb"), sizeBytes));
    const { code, stdout } = await vmexit("run", "-q", "-a", "count=3", path);
    assertEquals([code, stdout], [1, "begin\nxxxend\n"]);
  });
}
