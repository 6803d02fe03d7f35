import { assertEquals } from "@std/assert";
import type { MachineEvent } from "../../src/devices/device.ts";
import { RESET_VALUE, ResetControl } from "../../src/devices/reset_control.ts";

Deno.test("the machine is reset when the bit rises, whatever kind of reset was chosen", () => {
  const events: MachineEvent[] = [];
  const device = new ResetControl((event) => events.push(event));
  device.write(0, 1, 0x02);
  assertEquals([events, device.read()], [[], 0x02]);
  device.write(0, 1, RESET_VALUE);
  device.write(0, 1, RESET_VALUE);
  assertEquals(events, [{ kind: "reset" }]);
  device.write(0, 1, 0xfb);
  assertEquals(device.read(), 0x0a, "only three bits are kept");
  device.write(0, 1, 0x0e);
  assertEquals(events.length, 2);
});
