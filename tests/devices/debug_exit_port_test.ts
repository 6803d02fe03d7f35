import { assertEquals } from "@std/assert";
import { debugExitCode, DebugExitPort } from "../../src/devices/debug_exit_port.ts";

Deno.test("a write passes its value on, a read is 0 and has no effect", () => {
  const values: number[] = [];
  const device = new DebugExitPort((value) => values.push(value));
  device.write(0, 1, 0x21);
  device.write(0, 4, 0xffff_ffff);
  assertEquals(device.read(), 0);
  assertEquals(values, [0x21, 0xffff_ffff]);
});

Deno.test("the exit code is twice the value and one: odd, and cut to a byte", () => {
  const codes = [0, 1, 0x10, 0x21, 0x7f, 0x80, 0xff, 0x100, 0x7fff_ffff, 0xffff_ffff];
  assertEquals(codes.map(debugExitCode), [1, 3, 33, 67, 255, 1, 255, 1, 255, 255]);
});
