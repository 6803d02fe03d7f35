import { assertEquals } from "@std/assert";
import { Uart16550, UART_PORTS } from "../../src/devices/uart16550.ts";

const [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const FCR = IIR;
const DLAB = 0x80;
const LOOP = 0x10;
const OUT2 = 0x08;

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

Deno.test("the divisor latch replaces data and interrupt enable, and keeps both bytes", () => {
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
    assertEquals(device.read(MSR) & 0xf0, input);
  }
});

Deno.test("modem status reports which lines have changed since it was read", () => {
  const { uart: device } = uart();
  device.write(MCR, 1, LOOP); // all lines fall
  assertEquals(device.read(MSR), 0x0b, "the ring indicator was off before");
  assertEquals(device.read(MSR), 0x00);
  device.write(MCR, 1, LOOP | 0x06); // RTS and OUT1
  assertEquals(device.read(MSR), 0x51, "the ring's begin is not told");
  device.write(MCR, 1, LOOP);
  assertEquals(device.read(MSR), 0x05, "its end is");
});

/** A device with its interrupt line connected, and the levels that the line took. */
function wired(): { uart: Uart16550; levels: boolean[]; sent: number[] } {
  const levels: boolean[] = [];
  const sent: number[] = [];
  const device = new Uart16550((b) => sent.push(b), "uart0", (level) => levels.push(level));
  device.write(MCR, 1, OUT2);
  return { uart: device, levels, sent };
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

Deno.test("input waits until it is read, and is announced byte by byte", () => {
  const { uart: device } = wired();
  device.receive(bytes(1, 2));
  device.receive(bytes());
  device.receive(bytes(3));
  assertEquals(device.backlog, 2, "one is in the receiver");
  for (const byte of [1, 2, 3]) {
    assertEquals([device.read(LSR), device.read(DATA)], [0x61, byte]);
  }
  assertEquals([device.read(LSR), device.read(DATA), device.backlog], [0x60, 0, 0]);
});

Deno.test("input interrupts while there is any, if enabled", () => {
  const { uart: device, levels } = wired();
  device.receive(bytes(1, 2));
  assertEquals(levels, []);
  device.write(IER, 1, 0x01);
  assertEquals([levels, device.read(IIR)], [[true], 0x04]);
  device.read(DATA);
  assertEquals(device.read(IIR), 0x04);
  device.read(DATA);
  assertEquals([levels, device.read(IIR)], [[true, false], 0x01]);
});

for (const [bits, level] of [[0x00, 1], [0x40, 4], [0x80, 8], [0xc0, 14]] as const) {
  Deno.test(`with the trigger at ${level} fewer bytes in the FIFO are a timeout`, () => {
    const { uart: device } = wired();
    device.write(FCR, 1, 0x01 | bits);
    device.write(IER, 1, 0x01);
    device.receive(new Uint8Array(level));
    assertEquals(device.read(IIR), 0xc4);
    device.read(DATA);
    assertEquals(device.read(IIR), level === 1 ? 0xc1 : 0xcc);
  });
}

Deno.test("the FIFO has 16 bytes and takes the next when there is room", () => {
  const { uart: device } = wired();
  device.write(FCR, 1, 0x01);
  device.receive(new Uint8Array(20));
  assertEquals(device.backlog, 4);
  device.read(DATA);
  assertEquals(device.backlog, 3);
  for (let i = 0; i < 19; i++) assertEquals([device.read(LSR) & 1, device.read(DATA)], [1, 0]);
  assertEquals(device.read(LSR) & 1, 0);
});

Deno.test("input survives any change to the FIFOs; looped-back bytes do not", () => {
  const { uart: device } = wired();
  device.receive(bytes(1, 2, 3));
  device.receive(bytes(4));
  device.write(FCR, 1, 0x87); // on and empty
  assertEquals(device.read(DATA), 1);
  device.write(FCR, 1, 0x03); // empty
  device.write(FCR, 1, 0x00); // off
  assertEquals(device.backlog, 2);
  for (const byte of [2, 3, 4]) assertEquals([device.read(LSR) & 1, device.read(DATA)], [1, byte]);
  device.write(MCR, 1, LOOP);
  device.write(DATA, 1, 5);
  device.write(MCR, 1, OUT2);
  assertEquals(device.read(LSR) & 1, 1);
  device.write(FCR, 1, 0x01);
  assertEquals(device.read(LSR) & 1, 0);
});

Deno.test("the sender is notified when all input was read", () => {
  const { uart: device } = wired();
  let pieces = 3;
  device.onDrained = () => {
    if (--pieces > 0) device.receive(bytes(pieces, pieces));
  };
  device.receive(bytes(9, 9));
  const taken: number[] = [];
  while (device.read(LSR) & 1) taken.push(device.read(DATA));
  assertEquals(taken, [9, 9, 2, 2, 1, 1]);
});

Deno.test("an empty transmitter interrupts when that is enabled, until it is identified", () => {
  const { uart: device, levels } = wired();
  device.write(IER, 1, 0x02);
  assertEquals(levels, [true]);
  assertEquals([device.read(IIR), device.read(IIR)], [0x02, 0x01]);
  assertEquals(levels, [true, false]);
  device.write(IER, 1, 0x02);
  assertEquals(device.read(IIR), 0x01, "it was enabled already");
  device.write(IER, 1, 0x00);
  device.write(IER, 1, 0x02);
  assertEquals(device.read(IIR), 0x02);
});

Deno.test("each byte sent makes an edge, for an input that sees only edges", () => {
  const { uart: device, levels } = wired();
  device.write(IER, 1, 0x02);
  device.write(DATA, 1, 0x41);
  device.write(DATA, 1, 0x42);
  assertEquals(levels, [true, false, true, false, true]);
});

Deno.test("the interrupt of the highest priority is identified first", () => {
  const { uart: device } = wired();
  device.write(MCR, 1, LOOP); // changes modem lines
  device.write(DATA, 1, 1);
  device.write(DATA, 1, 2); // overruns
  device.write(IER, 1, 0x0f);
  assertEquals(device.read(IIR), 0x06);
  assertEquals(device.read(LSR), 0x63);
  assertEquals(device.read(LSR), 0x61, "told once");
  assertEquals(device.read(IIR), 0x04);
  assertEquals(device.read(DATA), 2, "without FIFOs the later byte wins");
  assertEquals(device.read(IIR), 0x02);
  assertEquals(device.read(IIR), 0x00);
  device.read(MSR);
  assertEquals(device.read(IIR), 0x01);
});

Deno.test("a full FIFO keeps what it has in an overrun", () => {
  const { uart: device } = wired();
  device.write(MCR, 1, LOOP);
  device.write(FCR, 1, 0x01);
  for (let i = 0; i < 17; i++) device.write(DATA, 1, i);
  assertEquals(device.read(LSR), 0x63);
  for (let i = 0; i < 16; i++) assertEquals(device.read(DATA), i);
  assertEquals(device.read(LSR), 0x60);
});

Deno.test("interrupts leave a PC's UART only with OUT2, and not in loopback", () => {
  const { uart: device, levels } = wired();
  device.write(MCR, 1, 0);
  device.write(IER, 1, 0x01);
  device.receive(bytes(1));
  assertEquals([levels, device.read(IIR)], [[], 0x04], "pending, but not let out");
  device.write(MCR, 1, OUT2);
  device.write(MCR, 1, OUT2 | LOOP);
  device.write(MCR, 1, OUT2);
  assertEquals(levels, [true, false, true]);
});

Deno.test("in loopback, input waits", () => {
  const { uart: device } = wired();
  device.write(MCR, 1, LOOP);
  device.receive(bytes(5));
  assertEquals(device.read(LSR), 0x60);
  device.write(MCR, 1, OUT2);
  assertEquals([device.read(LSR), device.read(DATA)], [0x61, 5]);
});

/** A UART that counts its calls of onListening. */
function listened(use: (device: Uart16550) => void): number {
  let count = 0;
  const { uart: device } = uart();
  device.onListening = () => count++;
  use(device);
  return count;
}

Deno.test("a guest that enables the receive interrupt asks for input, reported once", () => {
  const enable = (value: number) => (device: Uart16550) => device.write(IER, 1, value);
  assertEquals(listened(enable(0x0e)), 0, "all but input");
  assertEquals(listened(enable(0x01)), 1);
  assertEquals(listened((device) => [1, 0, 1].forEach((value) => enable(value)(device))), 1);
});

for (const [name, register] of [["line status", LSR], ["receiver", DATA]] as const) {
  Deno.test(`a guest that reads the ${name} again and again asks for input`, () => {
    const look = (times: number) => (device: Uart16550) => {
      for (let i = 0; i < times; i++) device.read(register);
    };
    assertEquals([listened(look(15)), listened(look(16)), listened(look(100))], [0, 1, 1]);
  });
}

Deno.test("a guest that polls the line status to send does not want input", () => {
  const print = (device: Uart16550) => {
    for (let i = 0; i < 100; i++) {
      for (let look = 0; look < 3; look++) device.read(LSR);
      device.write(DATA, 1, 0x61);
    }
  };
  assertEquals(listened(print), 0);
});
