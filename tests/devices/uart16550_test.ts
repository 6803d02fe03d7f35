import { assertEquals } from "@std/assert";
import { Uart16550, UART_PORTS } from "../../src/devices/uart16550.ts";

const [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const FCR = IIR;
const DLAB = 0x80;

function uart(): { uart: Uart16550; sent: number[] } {
  const sent: number[] = [];
  return { uart: new Uart16550((byte) => sent.push(byte)), sent };
}

Deno.test("the registers have a UART's values after reset", () => {
  const { uart: device } = uart();
  const values = Array.from({ length: UART_PORTS }, (_, offset) => device.read(offset));
  assertEquals(values, [0, 0, 0x01, 0x03, 0, 0x60, 0xb0, 0]);
});

Deno.test("a written byte is sent at once, and the transmitter is ready for the next", () => {
  const { uart: device, sent } = uart();
  for (const byte of [0x48, 0x00, 0xff]) {
    device.write(DATA, 1, byte);
    assertEquals(device.read(LSR) & 0x60, 0x60);
  }
  assertEquals(sent, [0x48, 0x00, 0xff]);
});

Deno.test("the divisor latch takes the place of data and interrupt enable, and keeps both", () => {
  const { uart: device, sent } = uart();
  device.write(IER, 1, 0x05);
  device.write(LCR, 1, DLAB | 0x03);
  device.write(DATA, 1, 0x34);
  device.write(IER, 1, 0x12);
  assertEquals([device.read(DATA), device.read(IER)], [0x34, 0x12]);
  device.write(LCR, 1, 0x03);
  assertEquals([device.read(DATA), device.read(IER)], [0, 0x05]);
  assertEquals(sent, [], "nothing was sent");
  device.write(LCR, 1, DLAB);
  assertEquals([device.read(DATA), device.read(IER)], [0x34, 0x12]);
});

Deno.test("interrupt enable has four bits, modem control five", () => {
  const { uart: device } = uart();
  device.write(IER, 1, 0xff);
  device.write(MCR, 1, 0xff);
  assertEquals([device.read(IER), device.read(MCR)], [0x0f, 0x1f]);
});

Deno.test("the scratch register and line control keep what is written", () => {
  const { uart: device } = uart();
  for (const value of [0x5a, 0xa5]) {
    device.write(SCRATCH, 1, value);
    device.write(LCR, 1, value);
    assertEquals([device.read(SCRATCH), device.read(LCR)], [value, value]);
  }
});

Deno.test("interrupt identification says that nothing is pending, and whether FIFOs are on", () => {
  const { uart: device } = uart();
  device.write(FCR, 1, 0xc7);
  assertEquals(device.read(IIR), 0xc1);
  device.write(FCR, 1, 0x00);
  assertEquals(device.read(IIR), 0x01);
});

Deno.test("status registers cannot be written", () => {
  const { uart: device } = uart();
  device.write(LSR, 1, 0xff);
  device.write(MSR, 1, 0xff);
  assertEquals([device.read(LSR), device.read(MSR)], [0x60, 0xb0]);
});

Deno.test("in loopback a sent byte is received, once, and does not leave the device", () => {
  const { uart: device, sent } = uart();
  device.write(MCR, 1, 0x10);
  device.write(DATA, 1, 0x77);
  assertEquals(device.read(LSR), 0x61, "data ready");
  assertEquals(device.read(DATA), 0x77);
  assertEquals(device.read(LSR), 0x60);
  assertEquals(sent, []);
  device.write(MCR, 1, 0);
  device.write(DATA, 1, 0x78);
  assertEquals(sent, [0x78]);
});

Deno.test("in loopback each modem output drives its input", () => {
  const { uart: device } = uart();
  const lines: [output: number, input: number][] = [
    [0x00, 0x00],
    [0x01, 0x20], // DTR -> DSR
    [0x02, 0x10], // RTS -> CTS
    [0x04, 0x40], // OUT1 -> RI
    [0x08, 0x80], // OUT2 -> DCD
    [0x0a, 0x90],
    [0x0f, 0xf0],
  ];
  for (const [output, input] of lines) {
    device.write(MCR, 1, 0x10 | output);
    assertEquals(device.read(MSR), input);
  }
});
