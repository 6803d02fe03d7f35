import { assertEquals } from "@std/assert";
import { A20Gate } from "../../src/devices/a20_gate.ts";
import type { MachineEvent } from "../../src/devices/device.ts";
import { I8042 } from "../../src/devices/i8042.ts";

const OUTPUT_FULL = 0x01;

function controller() {
  const events: MachineEvent[] = [];
  const levels: boolean[] = [];
  const a20 = new A20Gate();
  const i8042 = new I8042(a20, (event) => events.push(event), (level) => levels.push(level));
  return {
    events,
    levels,
    a20,
    command: (value: number) => i8042.command.write(0, 1, value),
    status: () => i8042.command.read(0, 1),
    send: (value: number) => i8042.data.write(0, 1, value),
    take: () => i8042.data.read(0, 1),
  };
}

Deno.test("the controller is ready for a command, has no output, and passed its self-test", () => {
  assertEquals(controller().status(), 0x14);
});

Deno.test("the status tells a command from data", () => {
  const { command, send, status } = controller();
  command(0xae);
  assertEquals(status() & 0x08, 0x08);
  send(0xf4);
  assertEquals(status() & 0x08, 0);
});

for (
  const [name, command, answer] of [
    ["self test", 0xaa, 0x55],
    ["keyboard test", 0xab, 0x00],
    ["mouse test, which finds no second port", 0xa9, 0x01],
    ["read of the output port: A20 on, no reset", 0xd0, 0x03],
    ["read of the input port", 0xc0, 0x00],
  ] as const
) {
  Deno.test(`the controller answers a ${name}`, () => {
    const device = controller();
    device.command(command);
    assertEquals(device.status() & OUTPUT_FULL, OUTPUT_FULL);
    assertEquals(device.take(), answer);
    assertEquals(device.status() & OUTPUT_FULL, 0);
    assertEquals(device.take(), answer, "the last byte stays");
  });
}

Deno.test("the configuration keeps what was written, and keyboard and mouse have a bit in it", () => {
  const { command, send, take } = controller();
  const configuration = (): number => {
    command(0x20);
    return take();
  };
  command(0x60);
  send(0x46);
  assertEquals(configuration(), 0x46);
  command(0xad);
  command(0xa7);
  assertEquals(configuration(), 0x76);
  command(0xae);
  command(0xa8);
  assertEquals(configuration(), 0x46);
});

Deno.test("a command replaces one that awaits its data", () => {
  const { command, send, take } = controller();
  command(0x60);
  command(0xaa);
  send(0xff);
  command(0x20);
  assertEquals(take(), 0x24, "as after reset, but for the keyboard, which the byte went to");
});

Deno.test("a reply interrupts if the configuration enables it", () => {
  const { command, send, take, levels } = controller();
  command(0x60);
  send(0x01);
  command(0xaa);
  assertEquals(levels.at(-1), true);
  take();
  assertEquals(levels.at(-1), false);
  command(0x60);
  send(0x00);
  command(0xaa);
  assertEquals(levels.at(-1), false);
});

Deno.test("the keyboard's answers are read one by one, each with an interrupt", () => {
  const { command, send, take, status, levels } = controller();
  command(0x60);
  send(0x01);
  send(0xf2);
  assertEquals([take(), take(), take()], [0xfa, 0xab, 0x83]);
  assertEquals(status() & OUTPUT_FULL, 0);
  assertEquals(levels.filter((level, i) => level !== (levels[i - 1] ?? false)), [
    ...[true, false, true, false],
    ...[true, false],
  ]);
});

Deno.test("the controller replies before the keyboard, and neither byte is lost", () => {
  const { command, send, take } = controller();
  send(0xf4);
  command(0xaa);
  assertEquals([take(), take()], [0x55, 0xfa]);
});

Deno.test("a byte to the keyboard turns it on", () => {
  const { command, send, take } = controller();
  command(0xad);
  send(0xee);
  assertEquals(take(), 0xee);
  command(0x20);
  assertEquals(take() & 0x10, 0);
});

Deno.test("bytes for the missing mouse get no answer; keyboard output comes back", () => {
  const { command, send, take, status } = controller();
  for (const mouse of [0xd3, 0xd4]) {
    command(mouse);
    send(0xff);
    assertEquals(status() & OUTPUT_FULL, 0);
  }
  command(0xd2);
  send(0x1e);
  assertEquals([status() & OUTPUT_FULL, take()], [OUTPUT_FULL, 0x1e]);
});

Deno.test("a keyboard that is not read keeps 16 bytes", () => {
  const { send, take, status } = controller();
  for (let i = 0; i < 100; i++) send(0xee);
  for (let i = 0; i < 16; i++) assertEquals([status() & OUTPUT_FULL, take()], [OUTPUT_FULL, 0xee]);
  assertEquals(status() & OUTPUT_FULL, 0);
});

Deno.test("the A20 gate is opened and closed by the output port and by commands", () => {
  const { command, send, a20 } = controller();
  command(0xdd);
  assertEquals(a20.enabled, false);
  command(0xdf);
  assertEquals(a20.enabled, true);
  command(0xd1);
  send(0x01);
  assertEquals(a20.enabled, false);
  command(0xd1);
  send(0x03);
  assertEquals(a20.enabled, true);
});

Deno.test("pulses of the reset line and its bit in the output port reset the machine", () => {
  const { command, send, events } = controller();
  command(0xff); // pulses nothing
  command(0xfd); // pulses another line
  command(0xd1);
  send(0x03);
  assertEquals(events, []);
  command(0xfe);
  command(0xf0);
  command(0xd1);
  send(0x02);
  assertEquals(events, [{ kind: "reset" }, { kind: "reset" }, { kind: "reset" }]);
});
