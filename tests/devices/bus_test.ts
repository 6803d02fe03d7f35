import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { BusOverlapError, MmioBus, PortBus } from "../../src/devices/bus.ts";
import type { Device } from "../../src/devices/device.ts";

/** A device that answers with its offset and records its accesses. */
class Recorder implements Device {
  readonly log: string[] = [];

  constructor(readonly accessBytes: 1 | 2 | 4, readonly name = "recorder") {}

  read(offset: number, sizeBytes: number): number {
    this.log.push(`read ${offset}/${sizeBytes}`);
    return 0xa0 + offset;
  }

  write(offset: number, sizeBytes: number, value: number): void {
    this.log.push(`write ${offset}/${sizeBytes} ${value.toString(16)}`);
  }
}

function portBus(device: Device, start: number, size: number): PortBus {
  const bus = new PortBus();
  bus.add({ start, size }, device);
  return bus;
}

function mmioBus(device: Device, start: number, size: number): MmioBus {
  const bus = new MmioBus();
  bus.add({ start, size }, device);
  return bus;
}

Deno.test("a port belongs to the device that claims it, and only within its range", () => {
  const device = new Recorder(1);
  const bus = portBus(device, 0x3f8, 8);
  for (const port of [0x3f8, 0x3ff]) {
    assertStrictEquals(bus.deviceAt(port), device);
    assertEquals(bus.claims(port), true);
  }
  for (const port of [0, 0x3f7, 0x400, 0xffff]) {
    assertEquals(bus.deviceAt(port), undefined);
    assertEquals(bus.claims(port), false);
  }
});

Deno.test("an access that the device understands reaches it whole, by its offset", () => {
  const device = new Recorder(4);
  const bus = portBus(device, 0x100, 8);
  assertEquals(bus.read(0x104, 4), 0xa4);
  bus.write(0x100, 4, 0xdead_beef);
  bus.write(0x106, 2, 0x1234);
  assertEquals(device.log, ["read 4/4", "write 0/4 deadbeef", "write 6/2 1234"]);
});

Deno.test("a wider access than the device understands is split into bytes, lowest first", () => {
  const device = new Recorder(1);
  const bus = portBus(device, 0x100, 8);
  assertEquals(bus.read(0x102, 4), 0xa5a4_a3a2);
  bus.write(0x100, 2, 0x1234);
  assertEquals(device.log, [
    "read 2/1",
    "read 3/1",
    "read 4/1",
    "read 5/1",
    "write 0/1 34",
    "write 1/1 12",
  ]);
});

Deno.test("an access across a device's end is split; what is beyond reads as all ones", () => {
  const device = new Recorder(4);
  const bus = portBus(device, 0x100, 4);
  assertEquals(bus.read(0x103, 2), 0xffa3);
  assertEquals(bus.read(0xff, 2), 0xa0ff);
  bus.write(0x102, 4, 0x4433_2211);
  assertEquals(device.log, ["read 3/1", "read 0/1", "write 2/1 11", "write 3/1 22"]);
});

Deno.test("an access across two devices reaches both", () => {
  const [first, second] = [new Recorder(2, "first"), new Recorder(2, "second")];
  const bus = portBus(first, 0x100, 1);
  bus.add({ start: 0x101, size: 1 }, second);
  assertEquals(bus.read(0x100, 2), 0xa0a0);
  bus.write(0x100, 2, 0x2211);
  assertEquals(first.log, ["read 0/1", "write 0/1 11"]);
  assertEquals(second.log, ["read 0/1", "write 0/1 22"]);
});

Deno.test("unclaimed ports read as all ones, as unsigned numbers, and ignore writes", () => {
  const bus = new PortBus();
  assertEquals([bus.read(0x80, 1), bus.read(0x80, 2), bus.read(0x80, 4)], [
    0xff,
    0xffff,
    0xffff_ffff,
  ]);
  for (const size of [1, 2, 4]) bus.write(0x80, size, 0x1234_5678);
});

Deno.test("an access at the last port wraps to the first", () => {
  const device = new Recorder(1);
  const bus = portBus(device, 0, 2);
  assertEquals(bus.read(0xffff, 2), 0xa0ff);
  bus.write(0xffff, 4, 0x4433_2211);
  assertEquals(device.log, ["read 0/1", "write 0/1 22", "write 1/1 33"]);
});

Deno.test("a port access says which device claims its first port", () => {
  const [first, second] = [new Recorder(2, "first"), new Recorder(2, "second")];
  const bus = portBus(first, 0x100, 2);
  bus.add({ start: 0x102, size: 2 }, second);
  const served = (port: number, size: number): [Device | undefined, Device | undefined] => {
    bus.read(port, size);
    return [bus.reader, bus.write(port, size, 0)];
  };
  assertEquals(served(0x100, 2), [first, first]);
  assertEquals(served(0x101, 2), [first, first], "across two devices");
  assertEquals(served(0x103, 1), [second, second]);
  assertEquals(served(0x103, 4), [second, second], "past the end");
  assertEquals(served(0xff, 2), [undefined, undefined], "into the range");
  assertEquals(served(0x80, 1), [undefined, undefined]);
  bus.replace({ start: 0x100, size: 1 }, second);
  assertEquals(served(0x100, 1), [second, second]);
});

Deno.test("an MMIO access says which device claims its GPA", () => {
  const device = new Recorder(4);
  const bus = mmioBus(device, 0x1000, 4);
  const served = (gpa: number, size: number): [Device | undefined, Device | undefined] => {
    const data = new Uint8Array(size);
    return [bus.read(gpa, data), bus.write(gpa, data)];
  };
  assertEquals(served(0x1000, 4), [device, device]);
  assertEquals(served(0x1002, 8), [device, device], "past the end");
  assertEquals(served(0xffe, 4), [undefined, undefined], "into the range");
  assertEquals(served(0x2000, 1), [undefined, undefined]);
  assertEquals(served(2 ** 64 - 8, 8), [undefined, undefined]);
});

Deno.test("two devices cannot claim one port, and nothing is claimed by the attempt", () => {
  const bus = portBus(new Recorder(1, "first"), 0x100, 8);
  assertThrows(
    () => bus.add({ start: 0xfe, size: 4 }, new Recorder(1, "second")),
    BusOverlapError,
    "second and first both claim port 0x100",
  );
  assertEquals(bus.claims(0xfe), false);
  bus.add({ start: 0x108, size: 1 }, new Recorder(1, "beside"));
});

Deno.test("ports that do not exist cannot be claimed, the last one can", () => {
  const bus = new PortBus();
  for (const range of [[-1, 2], [0, 0], [0, -1], [0xffff, 2], [0x1_0000, 1]] as const) {
    const [start, size] = range;
    assertThrows(() => bus.add({ start, size }, new Recorder(1)), RangeError, "no such ports");
  }
  bus.add({ start: 0xffff, size: 1 }, new Recorder(1));
  assertEquals(bus.read(0xffff, 1), 0xa0);
});

Deno.test("a bus has room for 65535 devices", () => {
  const bus = new PortBus();
  const devices = Array.from({ length: 0xffff }, (_, i) => new Recorder(1, `device ${i}`));
  devices.forEach((device, i) => bus.add({ start: i, size: 1 }, device));
  devices.forEach((device, i) => assertStrictEquals(bus.deviceAt(i), device));
  const oneMore = () => bus.add({ start: 0xffff, size: 1 }, new Recorder(1));
  assertThrows(oneMore, RangeError, "has 65535 devices already");
});

Deno.test("a GPA belongs to the device that claims it, and only within its range", () => {
  const device = new Recorder(4);
  const bus = mmioBus(device, 0xfee0_0000, 0x1000);
  assertStrictEquals(bus.deviceAt(0xfee0_0000), device);
  assertStrictEquals(bus.deviceAt(0xfee0_0fff), device);
  for (const gpa of [0, 0xfedf_ffff, 0xfee0_1000, 2 ** 52, Number.MAX_VALUE]) {
    assertEquals(bus.deviceAt(gpa), undefined);
  }
});

function mmioRead(bus: MmioBus, gpa: number, sizeBytes: number): number[] {
  const data = new Uint8Array(sizeBytes);
  bus.read(gpa, data);
  return [...data];
}

Deno.test("an MMIO access that the device understands reaches it whole, little-endian", () => {
  const device = new Recorder(4);
  const bus = mmioBus(device, 0x1000, 0x100);
  assertEquals(mmioRead(bus, 0x1004, 4), [0xa4, 0, 0, 0]);
  bus.write(0x1008, new Uint8Array([0xef, 0xbe, 0xad, 0xde]));
  assertEquals(device.log, ["read 4/4", "write 8/4 deadbeef"]);
});

Deno.test("an MMIO access that is too wide or crosses the end is split into bytes", () => {
  const device = new Recorder(2);
  const bus = mmioBus(device, 0x1000, 4);
  assertEquals(mmioRead(bus, 0x1002, 4), [0xa2, 0xa3, 0xff, 0xff]);
  assertEquals(mmioRead(bus, 0xffe, 4), [0xff, 0xff, 0xa0, 0xa1]);
  bus.write(0x1003, new Uint8Array([0x11, 0x22]));
  assertEquals(device.log, [
    "read 2/1",
    "read 3/1",
    "read 0/1",
    "read 1/1",
    "write 3/1 11",
  ]);
});

Deno.test("unclaimed GPAs read as all ones and ignore writes, however high", () => {
  const bus = new MmioBus();
  for (const gpa of [0xd000_0000, 2 ** 53, 2 ** 64 - 8]) {
    assertEquals(mmioRead(bus, gpa, 8), Array(8).fill(0xff));
    bus.write(gpa, new Uint8Array(8));
  }
});

Deno.test("two devices cannot claim one GPA", () => {
  const bus = mmioBus(new Recorder(1, "first"), 0x1000, 0x1000);
  for (const [start, size] of [[0xfff, 2], [0x1fff, 1], [0x1800, 1], [0, 0x10000]] as const) {
    assertThrows(
      () => bus.add({ start, size }, new Recorder(1, "second")),
      BusOverlapError,
      "second and first overlap",
    );
  }
  bus.add({ start: 0xfff, size: 1 }, new Recorder(1, "before"));
  bus.add({ start: 0x2000, size: 1 }, new Recorder(1, "behind"));
});

Deno.test("GPAs that are not exact numbers cannot be claimed", () => {
  const bus = new MmioBus();
  for (const [start, size] of [[-1, 2], [0, 0], [2 ** 53, 1], [2 ** 53 - 2, 2]] as const) {
    assertThrows(() => bus.add({ start, size }, new Recorder(1)), RangeError, "no such addresses");
  }
});
