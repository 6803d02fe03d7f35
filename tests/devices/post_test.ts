import { assertEquals } from "@std/assert";
import { PostPort } from "../../src/devices/post.ts";

Deno.test("the POST port keeps the last code", () => {
  const device = new PostPort();
  assertEquals(device.read(), 0);
  for (const code of [0x55, 0xaa]) device.write(0, 1, code);
  assertEquals(device.read(), 0xaa);
});
