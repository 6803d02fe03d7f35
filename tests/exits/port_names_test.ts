import { assert, assertEquals } from "@std/assert";
import { PORT_RANGES, portName } from "../../src/exits/port_names.ts";

const EXAMPLES: readonly (readonly [port: number, name: string | undefined])[] = [
  [0x20, "PIC1-command"],
  [0x43, "PIT-command"],
  [0x60, "KBD-data"],
  [0x70, "RTC-index"],
  [0x80, "POST"],
  [0xa1, "PIC2-data"],
  [0xe9, "debugcon"],
  [0xf4, "debug-exit"],
  [0x2e8, "COM4"],
  [0x2f8, "COM2"],
  [0x3e8, "COM3"],
  [0x3f6, "IDE1-control"],
  [0x3f7, "FDC"],
  [0x3f8, "COM1"],
  [0x3ff, "COM1"],
  [0x402, "firmware-debug"],
  [0x511, "fw_cfg-data"],
  [0x604, "PM1a-control"],
  [0xcf8, "PCI-config-address"],
  [0xcf9, "reset-control"],
  [0xcff, "PCI-config-data"],
  [0x5658, "VMware-backdoor"],
  [0x400, undefined],
  [0xd00, undefined],
  [0xffff, undefined],
  [-1, undefined],
];

for (const [port, name] of EXAMPLES) {
  Deno.test(`port 0x${port.toString(16)} is ${name ?? "unnamed"}`, () => {
    assertEquals(portName(port), name);
  });
}

Deno.test("the port ranges ascend, do not overlap and lie in the 16-bit port space", () => {
  let previousLast = -1;
  for (const [first, last, name] of PORT_RANGES) {
    assert(first > previousLast, `${name} at 0x${first.toString(16)} overlaps what precedes it`);
    assert(last >= first && last <= 0xffff, `${name} ends at 0x${last.toString(16)}`);
    previousLast = last;
  }
});

Deno.test("both ends of every range have the range's name", () => {
  for (const [first, last, name] of PORT_RANGES) {
    assertEquals([portName(first), portName(last)], [name, name]);
  }
});

Deno.test("port names fit in the trace: short, and without spaces", () => {
  for (const [, , name] of PORT_RANGES) assert(/^[\w-]{3,18}$/.test(name), name);
});
