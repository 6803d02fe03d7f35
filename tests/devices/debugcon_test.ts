import { assertEquals } from "@std/assert";
import { DebugConsole } from "../../src/devices/debugcon.ts";

Deno.test("every byte written to a debug console is output", () => {
  const sent: number[] = [];
  const console = new DebugConsole((byte) => sent.push(byte));
  for (const byte of [0x48, 0x00, 0xff]) console.write(0, 1, byte);
  assertEquals(sent, [0x48, 0x00, 0xff]);
});

Deno.test("a debug console is detected by what it reads as, and has a name", () => {
  const console = new DebugConsole(() => {});
  assertEquals([console.read(), console.name], [0xe9, "debugcon"]);
  assertEquals(new DebugConsole(() => {}, "debugcon2").name, "debugcon2");
});
