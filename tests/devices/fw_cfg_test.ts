import { assertEquals } from "@std/assert";
import { PortBus } from "../../src/devices/bus.ts";
import { FW_CFG_PORTS, FwCfg } from "../../src/devices/fw_cfg.ts";
import { GuestMemoryError } from "../../src/memory/guest_memory.ts";

const [SELECTOR, DATA, DMA_HIGH, DMA_LOW] = [0x510, 0x511, 0x514, 0x518] as const;
const CONTROL = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;
const MEMORY_BYTES = 0x10000;
const REQUEST = 0x100;
const BUFFER = 0x1000;

/** RAM at [0, MEMORY_BYTES). */
function ram() {
  const bytes = new Uint8Array(MEMORY_BYTES).fill(0xee);
  const within = (gpa: bigint, sizeBytes: number): number => {
    if (gpa + BigInt(sizeBytes) > MEMORY_BYTES) throw new GuestMemoryError("test", gpa, sizeBytes);
    return Number(gpa);
  };
  return {
    bytes,
    read: (gpa: bigint, size: number) => bytes.slice(within(gpa, size), Number(gpa) + size),
    write: (gpa: bigint, from: Uint8Array) => bytes.set(from, within(gpa, from.length)),
  };
}

function fwCfg(items: [number, number[]][]) {
  const memory = ram();
  const exit = { number: 1 };
  const device = new FwCfg(
    new Map(items.map(([key, bytes]) => [key, Uint8Array.from(bytes)])),
    memory,
    () => exit.number,
  );
  const bus = new PortBus();
  bus.add(FW_CFG_PORTS.registers, device.registers);
  bus.add(FW_CFG_PORTS.dma, device.dma);
  const take = (count: number): number[] => Array.from({ length: count }, () => bus.read(DATA, 1));
  const swap = (value: number): number =>
    new DataView(new Uint32Array([value]).buffer).getUint32(0);
  const start = (gpa: bigint): void => {
    bus.write(DMA_HIGH, 4, swap(Number(gpa >> 32n)));
    bus.write(DMA_LOW, 4, swap(Number(gpa & 0xffff_ffffn)));
  };
  /** Makes a request. @returns what its control word became */
  const dma = (control: number, length: number, gpa = BigInt(BUFFER)): number => {
    const view = new DataView(memory.bytes.buffer);
    view.setUint32(REQUEST, control);
    view.setUint32(REQUEST + 4, length);
    view.setBigUint64(REQUEST + 8, gpa);
    start(BigInt(REQUEST));
    return view.getUint32(REQUEST);
  };
  const buffer = (count: number): number[] => [...memory.bytes.subarray(BUFFER, BUFFER + count)];
  return { bus, take, dma, start, buffer, memory, swap, exit };
}

const ITEMS: [number, number[]][] = [[0, [81, 69, 77, 85]], [5, [1, 2, 3, 4]]];

Deno.test("an item is read byte by byte, and zeros past its end", () => {
  const { bus, take } = fwCfg(ITEMS);
  bus.write(SELECTOR, 2, 5);
  assertEquals(take(6), [1, 2, 3, 4, 0, 0]);
  bus.write(SELECTOR, 2, 5);
  assertEquals(take(2), [1, 2], "selecting starts over");
  bus.write(SELECTOR, 2, 0x77);
  assertEquals(take(2), [0, 0], "no such item");
});

Deno.test("the selector takes 16 bits and cannot be read; data cannot be written", () => {
  const { bus, take } = fwCfg(ITEMS);
  bus.write(SELECTOR, 2, 5);
  bus.write(SELECTOR, 1, 0);
  bus.write(DATA, 1, 0x99);
  assertEquals([bus.read(SELECTOR, 1), bus.read(SELECTOR, 2)], [0, 0]);
  assertEquals(take(4), [1, 2, 3, 4]);
});

Deno.test("the DMA register has its signature", () => {
  const { bus } = fwCfg(ITEMS);
  const bytes = Array.from({ length: 8 }, (_, i) => bus.read(DMA_HIGH + i, 1));
  assertEquals(String.fromCharCode(...bytes), "QEMU CFG");
  assertEquals(bus.read(DMA_HIGH, 4), 0x554d_4551, "in memory order");
});

Deno.test("DMA selects and reads in one request, and continues in the next", () => {
  const { dma, buffer, take } = fwCfg(ITEMS);
  assertEquals(dma(5 << 16 | CONTROL.select | CONTROL.read, 2), 0);
  assertEquals(buffer(3), [1, 2, 0xee]);
  assertEquals(dma(CONTROL.read, 1), 0);
  assertEquals([buffer(2), take(1)], [[3, 2], [4]]);
});

Deno.test("DMA reads zeros past an item's end, and skips", () => {
  const { dma, buffer } = fwCfg(ITEMS);
  dma(5 << 16 | CONTROL.select, 0);
  assertEquals(dma(CONTROL.skip, 3), 0);
  assertEquals(dma(CONTROL.read, 3), 0);
  assertEquals(buffer(4), [4, 0, 0, 0xee]);
  dma(5 << 16 | CONTROL.select | CONTROL.skip, 0xffff_ffff);
  assertEquals(dma(CONTROL.read, 2), 0);
  assertEquals(buffer(2), [0, 0]);
});

Deno.test("a long read comes in pieces and is whole", () => {
  const long = Array.from({ length: 60_000 }, (_, i) => i & 0xff);
  const { dma, buffer } = fwCfg([[7, long]]);
  assertEquals(dma(7 << 16 | CONTROL.select | CONTROL.read, 60_000), 0);
  assertEquals(buffer(60_000), long);
});

Deno.test("items cannot be written", () => {
  const { dma, bus, take } = fwCfg(ITEMS);
  assertEquals(dma(5 << 16 | CONTROL.select | CONTROL.write, 2), CONTROL.error);
  bus.write(SELECTOR, 2, 5);
  assertEquals(take(4), [1, 2, 3, 4]);
});

for (
  const gpa of [
    BigInt(MEMORY_BYTES),
    BigInt(MEMORY_BYTES) - 1n,
    1n << 32n,
    (1n << 53n) + 1n,
    (1n << 64n) - 1n,
  ]
) {
  Deno.test(`a transfer to 0x${gpa.toString(16)}, outside RAM, is an error`, () => {
    const { dma } = fwCfg(ITEMS);
    const control = 5 << 16 | CONTROL.select | CONTROL.read;
    assertEquals(dma(control, 4, gpa), CONTROL.error);
    assertEquals(dma(control, 0xffff_ffff, 0n), CONTROL.error, "nor that much RAM");
  });

  Deno.test(`a request at 0x${gpa.toString(16)}, outside RAM, does nothing`, () => {
    const { start, memory } = fwCfg(ITEMS);
    start(gpa);
    assertEquals(memory.bytes.every((byte) => byte === 0xee), true);
  });
}

Deno.test("a request's address has 64 bits, of which the upper half is used once", () => {
  const { bus, start, dma, buffer, memory, swap } = fwCfg(ITEMS);
  dma(5 << 16 | CONTROL.select, 0);
  new DataView(memory.bytes.buffer).setUint32(REQUEST, CONTROL.read);
  new DataView(memory.bytes.buffer).setUint32(REQUEST + 4, 1);
  start(1n << 32n | BigInt(REQUEST));
  assertEquals(buffer(1), [0xee], "no RAM there");
  bus.write(DMA_LOW, 4, swap(REQUEST));
  assertEquals(buffer(1), [1]);
});

Deno.test("narrow writes to the DMA register are ignored", () => {
  const { bus, memory } = fwCfg(ITEMS);
  for (const size of [1, 2]) bus.write(DMA_LOW, size, 0);
  assertEquals(memory.bytes.every((byte) => byte === 0xee), true);
});

Deno.test("the zeros of a request and the requests of an exit are bounded", () => {
  const MIB = 1 << 20;
  const writes: number[] = [];
  const request = new Uint8Array(16);
  const memory = {
    read: () => request.slice(),
    write: (gpa: bigint, bytes: Uint8Array) => {
      if (gpa === 0n) request.set(bytes);
      else writes.push(bytes.length);
    },
  };
  const exit = { number: 1 };
  const item = new Uint8Array(100 * MIB);
  const { dma } = new FwCfg(new Map([[1, item]]), memory, () => exit.number);
  const ask = (sizeBytes: number): number => {
    const view = new DataView(request.buffer);
    view.setUint32(0, 1 << 16 | CONTROL.select | CONTROL.read);
    view.setUint32(4, sizeBytes);
    view.setBigUint64(8, 0x1000n);
    dma.write(4, 4, 0);
    return view.getUint32(0);
  };
  assertEquals(ask(item.length + 256 * MIB + 1), CONTROL.error);
  assertEquals(writes, []);
  assertEquals([1, 2, 3, 4, 5].map(() => ask(100 * MIB)), [0, 0, 0, 1, 1]);
  exit.number++;
  assertEquals(ask(item.length + 256 * MIB), 0);
  assertEquals(ask(1), CONTROL.error);
});

Deno.test("endless skips stop at the item's end", () => {
  const { dma, take } = fwCfg(ITEMS);
  for (let i = 0; i < 100; i++) assertEquals(dma(5 << 16 | CONTROL.skip, 0xffff_ffff), 0);
  assertEquals(take(2), [0, 0]);
});
