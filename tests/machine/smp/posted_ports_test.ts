/**
 * The queue of posted bytes and the copies of line statuses, with both ends on
 * one thread; tests/cli/smp_test.ts has them on several.
 *
 * @module
 */

import { assert, assertEquals, assertFalse } from "@std/assert";
import { KVM_EXIT } from "../../../ffi/kvm_consts.ts";
import { KVM_RUN_IO } from "../../../ffi/kvm_run.ts";
import { Uart16550 } from "../../../src/devices/uart16550.ts";
import { ExitPage, type PortAccess } from "../../../src/kvm/exit_page.ts";
import {
  PortPoster,
  type PostedPorts,
  postedPorts,
  showStatus,
  takePosted,
} from "../../../src/machine/smp/posted_ports.ts";
import { kvmRun, PORT_DATA } from "../../exits/samples.ts";

const COM1 = 0x3f8;
const LINE_STATUS = 0x3fd;
const CONSOLE = 0xe9;

/** One serial port and one console, as a thread sees them. */
function made(): { posted: PostedPorts; poster: PortPoster; uart: Uart16550 } {
  const posted = postedPorts([{ data: COM1, lineStatus: LINE_STATUS }], [CONSOLE]);
  const uart = new Uart16550(() => {});
  showStatus(posted, [uart]);
  return { posted, poster: new PortPoster(posted), uart };
}

/** A port exit. */
function access(
  direction: number,
  port: number,
  data: readonly number[],
  size = 1,
): PortAccess {
  const area = kvmRun(KVM_EXIT.IO, KVM_RUN_IO, {
    direction,
    size,
    port,
    count: data.length / size,
    data_offset: BigInt(PORT_DATA),
  });
  area.set(data, PORT_DATA);
  return new ExitPage(area).io;
}

const out = (port: number, ...data: number[]): PortAccess => access(1, port, data);

/** All that waits: the port, the byte, whether an exit began with it. */
function taken(posted: PostedPorts): [number, number, boolean][] {
  const all: [number, number, boolean][] = [];
  takePosted(posted, (...entry) => all.push(entry));
  return all;
}

Deno.test("posted bytes are taken once, in their order, with the exits that they came by", () => {
  const { posted, poster } = made();
  assert(poster.serve(out(COM1, 0x41)));
  assert(poster.serve(out(CONSOLE, 0, 0xff)));
  assertEquals(taken(posted), [
    [COM1, 0x41, true],
    [CONSOLE, 0, true],
    [CONSOLE, 0xff, false],
  ]);
  assertEquals(taken(posted), []);
});

Deno.test("bytes go round the queue for ever, and one that is full refuses an exit whole", () => {
  const { posted, poster } = made();
  let room = 0;
  while (poster.serve(out(CONSOLE, room & 0xff))) room++;
  assert(room >= 4096);
  assertEquals(
    taken(posted).map(([, byte]) => byte),
    Array.from({ length: room }, (_, i) => i & 0xff),
  );
  for (let i = 0; i < room - 1; i++) assert(poster.serve(out(CONSOLE, 1)));
  assertFalse(poster.serve(out(CONSOLE, 2, 3)), "room for one only");
  assert(poster.serve(out(CONSOLE, 4)));
  assertEquals(taken(posted).length, room);
  assert(poster.serve(out(CONSOLE, 2, 3)));
  assertEquals(taken(posted), [[CONSOLE, 2, true], [CONSOLE, 3, false]]);
});

Deno.test("only single bytes for known ports are posted", () => {
  const { posted, poster } = made();
  assertFalse(poster.serve(out(COM1 + 1, 1)));
  assertFalse(poster.serve(out(0x80, 1)));
  assertFalse(poster.serve(access(1, CONSOLE, [1, 2], 2)));
  assertFalse(poster.serve(access(0, CONSOLE, [0])));
  assertEquals(taken(posted), []);
});

Deno.test("the line status is answered from the copy, each item of a string", () => {
  const { posted, poster, uart } = made();
  const area = access(0, LINE_STATUS, [0, 0]);
  assert(poster.serve(area));
  assertEquals([...area.data], [0x60, 0x60], "ready to send");
  uart.receive(Uint8Array.of(1));
  showStatus(posted, [uart]);
  const next = access(0, LINE_STATUS, [0]);
  assert(poster.serve(next));
  assertEquals([...next.data], [0x61], "and something has come in");
  assertFalse(poster.serve(access(0, COM1, [0])), "reading that takes it away");
});

for (
  const [name, change] of [
    ["the divisor latch is open", (uart: Uart16550) => uart.write(3, 1, 0x80)],
    ["it loops back", (uart: Uart16550) => uart.write(4, 1, 0x10)],
    ["the transmitter's interrupt is on", (uart: Uart16550) => uart.write(1, 1, 0x02)],
  ] as const
) {
  Deno.test(`a serial port's bytes are not posted while ${name}`, () => {
    const { posted, poster, uart } = made();
    assert(poster.serve(out(COM1, 1)));
    change(uart);
    showStatus(posted, [uart]);
    assertFalse(poster.serve(out(COM1, 2)));
    assertFalse(poster.serve(access(0, LINE_STATUS, [0])));
    for (const offset of [1, 3, 4]) uart.write(offset, 1, 0);
    showStatus(posted, [uart]);
    assert(poster.serve(out(COM1, 3)));
  });
}
