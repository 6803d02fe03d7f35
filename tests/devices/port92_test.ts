import { assertEquals } from "@std/assert";
import { A20Gate } from "../../src/devices/a20_gate.ts";
import type { MachineEvent } from "../../src/devices/device.ts";
import { SystemControlA } from "../../src/devices/port92.ts";

Deno.test("the A20 gate is open at first, and shared with the keyboard controller", () => {
  const a20 = new A20Gate();
  const device = new SystemControlA(a20, () => {});
  assertEquals(device.read(), 0x02);
  device.write(0, 1, 0x00);
  assertEquals([a20.enabled, device.read()], [false, 0x00]);
  a20.enabled = true;
  assertEquals(device.read(), 0x02);
});

Deno.test("the machine is reset when the bit rises, and not while it stays", () => {
  const events: MachineEvent[] = [];
  const device = new SystemControlA(new A20Gate(), (event) => events.push(event));
  device.write(0, 1, 0x02);
  assertEquals(events, []);
  device.write(0, 1, 0x03);
  device.write(0, 1, 0x03);
  assertEquals([events, device.read()], [[{ kind: "reset" }], 0x03]);
  device.write(0, 1, 0x02);
  device.write(0, 1, 0x03);
  assertEquals(events.length, 2);
});
