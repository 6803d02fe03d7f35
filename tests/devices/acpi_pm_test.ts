import { assertEquals } from "@std/assert";
import { ACPI_PM_PORTS, AcpiPm } from "../../src/devices/acpi_pm.ts";
import { PortBus } from "../../src/devices/bus.ts";
import type { MachineEvent } from "../../src/devices/device.ts";

const [STATUS, ENABLE, CONTROL, TIMER] = [0x600, 0x602, 0x604, 0x608] as const;
/** The period of the timer's top bit. */
const HALF_TURN_MS = 2 ** 31 / 3579.545;

function pm() {
  const clock = { ms: 5_000 };
  const events: MachineEvent[] = [];
  let level = false;
  const device = new AcpiPm((e) => events.push(e), () => clock.ms, (l) => level = l);
  const bus = new PortBus();
  bus.add(ACPI_PM_PORTS.event, device.event);
  bus.add(ACPI_PM_PORTS.control, device.control);
  bus.add(ACPI_PM_PORTS.timer, device.timer);
  return { bus, clock, events, device, sci: () => level };
}

Deno.test("the timer counts 3,579,545 times a second and wraps at 32 bits", () => {
  const { bus, clock } = pm();
  assertEquals(bus.read(TIMER, 4), 0);
  clock.ms += 1_000;
  assertEquals(bus.read(TIMER, 4), 3_579_545);
  assertEquals([bus.read(TIMER, 2), bus.read(TIMER + 2, 2)], [3_579_545 & 0xffff, 3_579_545 >> 16]);
  assertEquals(bus.read(TIMER + 1, 1), (3_579_545 >> 8) & 0xff);
  clock.ms = 5_000 + 2 ** 32 / 3579.545 + 1;
  assertEquals(bus.read(TIMER, 4), 3579);
  bus.write(TIMER, 4, 0xffff_ffff);
  assertEquals(bus.read(TIMER, 4), 3579, "it cannot be set");
});

Deno.test("the timer's status is set when its top bit changes, until it is cleared", () => {
  const { bus, clock } = pm();
  clock.ms += HALF_TURN_MS - 1;
  assertEquals(bus.read(STATUS, 2), 0);
  clock.ms += 2;
  assertEquals(bus.read(STATUS, 2), 1);
  bus.write(STATUS, 2, 0xfffe);
  assertEquals(bus.read(STATUS, 2), 1, "ones clear, zeros do not");
  bus.write(STATUS, 2, 1);
  assertEquals(bus.read(STATUS, 2), 0);
  clock.ms += HALF_TURN_MS;
  assertEquals(bus.read(STATUS, 2), 1);
});

Deno.test("the timer interrupts if enabled", () => {
  const { bus, clock, device, sci } = pm();
  bus.write(ENABLE, 2, 0xffff);
  assertEquals(bus.read(ENABLE, 2), 0x0721, "the bits that exist");
  bus.write(ENABLE, 2, 1);
  device.poll();
  assertEquals(sci(), false);
  clock.ms += HALF_TURN_MS + 1;
  device.poll();
  assertEquals(sci(), true);
  bus.write(STATUS, 1, 1);
  assertEquals(sci(), false);
  clock.ms += HALF_TURN_MS;
  bus.write(ENABLE, 1, 0);
  assertEquals([bus.read(STATUS, 2), sci()], [1, false]);
});

Deno.test("ACPI is enabled, and control keeps the sleep type but not the enable bit", () => {
  const { bus, events } = pm();
  assertEquals(bus.read(CONTROL, 2), 0x0001);
  bus.write(CONTROL, 2, 0x1c02);
  assertEquals(bus.read(CONTROL, 2), 0x1c03);
  bus.write(CONTROL, 2, 0x3400);
  assertEquals(bus.read(CONTROL, 2), 0x1401);
  assertEquals(events, [], "no such sleep type");
});

Deno.test("soft-off turns the machine off, by a word or by its upper byte", () => {
  for (const [port, size, value] of [[CONTROL, 2, 0x2000], [CONTROL + 1, 1, 0x20]] as const) {
    const { bus, events } = pm();
    bus.write(port, size, value);
    assertEquals(events, [{ kind: "power_off" }]);
  }
});
