import { assertEquals } from "@std/assert";
import { NULL_BACKEND, type SerialBackend, sinkBackend } from "../../src/devices/serial_backend.ts";
import { SerialPort } from "../../src/devices/serial_port.ts";

/** A backend with these pieces of input that records its calls. */
function backend(...pieces: number[][]) {
  const log: string[] = [];
  const plug: SerialBackend = {
    write: (byte) => log.push(`write ${byte}`),
    flush: () => log.push("flush"),
    poll: () => pieces.length > 0 ? Uint8Array.from(pieces.shift()!) : undefined,
    [Symbol.dispose]: () => {},
  };
  return { plug, log, pieces };
}

Deno.test("a poll fetches all input that has arrived, and flushes output", () => {
  const { plug, log } = backend([1, 2], [3]);
  const port = new SerialPort(plug, "uart1");
  port.poll();
  assertEquals(log, ["flush"]);
  assertEquals([1, 2, 3].map(() => port.uart.read(0)), [1, 2, 3]);
  port.uart.write(0, 1, 9);
  assertEquals([log, port.uart.name], [["flush", "write 9"], "uart1"]);
});

Deno.test("input is fetched up to a limit, and the rest when the guest has read it", () => {
  const big = Array(40_000).fill(7);
  const { plug, pieces } = backend(big, big, big);
  const port = new SerialPort(plug, "uart0");
  port.poll();
  assertEquals(pieces.length, 1);
  let taken = 0;
  for (; port.uart.read(5) & 1; taken++) port.uart.read(0);
  assertEquals([taken, pieces.length], [120_000, 0]);
});

Deno.test("ports connected to nothing, or to a sink, have no input", () => {
  const sent: number[] = [];
  for (const plug of [NULL_BACKEND, sinkBackend((byte) => sent.push(byte))]) {
    const port = new SerialPort(plug, "uart0");
    port.poll();
    port.uart.write(0, 1, 5);
    assertEquals(port.uart.read(5), 0x60);
    plug[Symbol.dispose]();
  }
  assertEquals(sent, [5]);
});
