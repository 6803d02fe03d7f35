import { assertEquals } from "@std/assert";
import type { MachineEvent } from "../../src/devices/device.ts";
import { PvPanic } from "../../src/devices/pvpanic.ts";

for (
  const [what, value, expected] of [
    ["a panic ends the run", 0x01, [{ kind: "panic" }]],
    ["a panic that the guest deals with does not", 0x02, []],
    ["a shutdown does", 0x04, [{ kind: "power_off" }]],
    ["a panic comes before a shutdown", 0x05, [{ kind: "panic" }]],
    ["nothing known is ignored", 0xf8, []],
  ] as const
) {
  Deno.test(`pvpanic: ${what}`, () => {
    const events: MachineEvent[] = [];
    const device = new PvPanic((event) => events.push(event));
    assertEquals(device.read(), 0x07, "the events that are known");
    device.write(0, 1, value);
    assertEquals(events, [...expected]);
  });
}
