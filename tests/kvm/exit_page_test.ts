/**
 * Serving accesses from synthetic `kvm_run` pages: KVM may or may not batch the
 * items of a string instruction.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_EXIT_OFFSET, KVM_RUN_IO, KVM_RUN_MMIO } from "../../ffi/kvm_run.ts";
import { MmioBus, PortBus } from "../../src/devices/bus.ts";
import type { Device } from "../../src/devices/device.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import { kvmRun, PORT_DATA } from "../exits/samples.ts";

const PORT = 0x100;
const GPA = 0xd000_0000;

/** Keeps what is written, and answers reads with 1, 2, 3, … */
class Counter implements Device {
  readonly name = "counter";
  readonly accessBytes = 4;
  readonly written: number[] = [];
  #next = 1;

  read(): number {
    return this.#next++;
  }

  write(_offset: number, _sizeBytes: number, value: number): void {
    this.written.push(value);
  }
}

/** Serves one port exit, and gives what the device got and the page afterwards. */
function servePort(
  direction: "in" | "out",
  size: number,
  count: number,
  { port = PORT, data = [] as number[], at = PORT_DATA } = {},
): { written: number[]; area: Uint8Array<ArrayBuffer> } {
  const device = new Counter();
  const bus = new PortBus();
  bus.add({ start: PORT, size: 4 }, device);
  const area = kvmRun(KVM_EXIT.IO, KVM_RUN_IO, {
    direction: direction === "out" ? 1 : 0,
    size,
    port,
    count,
    data_offset: BigInt(at),
  });
  area.set(data, at);
  const { io } = new ExitPage(area);
  assertEquals(io.port, port);
  assertEquals(io.serve(bus), port === PORT ? device : undefined);
  return { written: device.written, area };
}

Deno.test("a synthetic output of one item writes it, in each size", () => {
  const data = [0x78, 0x56, 0x34, 0xf2];
  assertEquals(servePort("out", 1, 1, { data }).written, [0x78]);
  assertEquals(servePort("out", 2, 1, { data }).written, [0x5678]);
  assertEquals(servePort("out", 4, 1, { data }).written, [0xf234_5678]);
});

Deno.test("a synthetic output of a string writes its items in order, in each size", () => {
  const data = [1, 2, 3, 4, 5, 6, 7, 8];
  assertEquals(servePort("out", 1, 8, { data }).written, data);
  assertEquals(servePort("out", 2, 4, { data }).written, [0x201, 0x403, 0x605, 0x807]);
  assertEquals(servePort("out", 4, 2, { data }).written, [0x0403_0201, 0x0807_0605]);
});

Deno.test("a synthetic input of a string is answered item by item, in each size", () => {
  const answer = (
    size: number,
    count: number,
  ) => [...servePort("in", size, count).area.subarray(PORT_DATA, PORT_DATA + 9)];
  assertEquals(answer(1, 3), [1, 2, 3, 0, 0, 0, 0, 0, 0]);
  assertEquals(answer(2, 3), [1, 0, 2, 0, 3, 0, 0, 0, 0]);
  assertEquals(answer(4, 2), [1, 0, 0, 0, 2, 0, 0, 0, 0]);
});

Deno.test("a synthetic string may fill the page of port data, from where KVM says it begins", () => {
  const count = 1024;
  const { written } = servePort("out", 4, count, {
    data: Array.from({ length: 4 * count }, (_, i) => i & 0xff),
    at: 2 * 4096,
  });
  assertEquals(written.length, count);
  assertEquals([written[0], written.at(-1)], [0x0302_0100, 0xfffe_fdfc]);
  const odd = servePort("out", 2, 1, { data: [0x34, 0x12], at: PORT_DATA + 1 });
  assertEquals(odd.written, [0x1234]);
});

Deno.test("a synthetic input from an unclaimed port is all ones", () => {
  const { area } = servePort("in", 2, 2, { port: 0x1234 });
  assertEquals([...area.subarray(PORT_DATA, PORT_DATA + 5)], [0xff, 0xff, 0xff, 0xff, 0]);
});

/** Serves one MMIO exit, and gives what the device got and the data afterwards. */
function serveMmio(
  direction: "read" | "write",
  len: number,
  gpa = BigInt(GPA),
): { written: number[]; data: number[]; gpa: number } {
  const device = new Counter();
  const bus = new MmioBus();
  bus.add({ start: GPA, size: 0x1000 }, device);
  const area = kvmRun(KVM_EXIT.MMIO, KVM_RUN_MMIO, {
    phys_addr: gpa,
    data: new Uint8Array([0x78, 0x56, 0x34, 0x12, 5, 6, 7, 8]),
    len,
    is_write: direction === "write" ? 1 : 0,
  });
  const { mmio } = new ExitPage(area);
  assertEquals(mmio.isWrite, direction === "write");
  mmio.serve(bus);
  const at = KVM_RUN_EXIT_OFFSET + KVM_RUN_MMIO.fields.data[0];
  return { written: device.written, data: [...area.subarray(at, at + 8)], gpa: mmio.gpa };
}

Deno.test("a synthetic MMIO write reaches the device, in each size", () => {
  assertEquals(serveMmio("write", 1).written, [0x78]);
  assertEquals(serveMmio("write", 2).written, [0x5678]);
  assertEquals(serveMmio("write", 4).written, [0x1234_5678]);
  assertEquals(serveMmio("write", 8).written, [0x78, 0x56, 0x34, 0x12, 5, 6, 7, 8]);
});

Deno.test("a synthetic MMIO read is answered in its size, and no further", () => {
  assertEquals(serveMmio("read", 1).data, [1, 0x56, 0x34, 0x12, 5, 6, 7, 8]);
  assertEquals(serveMmio("read", 4).data, [1, 0, 0, 0, 5, 6, 7, 8]);
  assertEquals(serveMmio("read", 8).data, [1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("a synthetic MMIO length that cannot be is cut to the data there are", () => {
  assertEquals(serveMmio("read", 0xffff_ffff).data, [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(serveMmio("read", 0).data, [0x78, 0x56, 0x34, 0x12, 5, 6, 7, 8]);
});

Deno.test("a synthetic MMIO read at an unclaimed GPA is all ones, however high", () => {
  for (const gpa of [0n, 0xcfff_fff8n, (1n << 52n) - 8n, (1n << 64n) - 8n]) {
    const served = serveMmio("read", 8, gpa);
    assertEquals(served.data, Array(8).fill(0xff));
    assertEquals(served.gpa, Number(gpa));
  }
});
