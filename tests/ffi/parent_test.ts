import { assertEquals } from "@std/assert";
import { dieWithParent } from "../../ffi/parent.ts";

Deno.test("a process knows whether its parent is still the one that it was", () => {
  assertEquals(dieWithParent(Deno.ppid), true);
  assertEquals(dieWithParent(Deno.pid), false);
});
