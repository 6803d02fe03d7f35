import { assertEquals } from "@std/assert";
import { IrqLine } from "../../src/devices/irq_line.ts";

Deno.test("a shared line is high while any input drives it, and reports only changes", () => {
  const levels: boolean[] = [];
  const line = new IrqLine((level) => levels.push(level));
  const [first, second] = [line.input(), line.input()];
  first(false);
  assertEquals(levels, []);
  first(true);
  first(true);
  second(true);
  assertEquals(levels, [true]);
  first(false);
  first(false);
  assertEquals(levels, [true]);
  second(false);
  assertEquals(levels, [true, false]);
});
