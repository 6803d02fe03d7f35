import { assertEquals, assertThrows } from "@std/assert";
import { PortBus } from "../../src/devices/bus.ts";
import { PCI_PORTS, type PciFunction, PciHost } from "../../src/devices/pci_host.ts";
import { ResetControl } from "../../src/devices/reset_control.ts";

const [ADDRESS, RESET, DATA] = [0xcf8, 0xcf9, 0xcfc] as const;

function host() {
  const resets: string[] = [];
  const pci = new PciHost(new ResetControl(({ kind }) => resets.push(kind)));
  const bus = new PortBus();
  bus.add(PCI_PORTS, pci);
  return { pci, bus, resets };
}

/** A function whose registers hold their numbers. */
class Numbers implements PciFunction {
  readonly log: string[] = [];

  readConfig(register: number, sizeBytes: number): number {
    let value = 0;
    for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + register + i;
    return value;
  }

  writeConfig(register: number, sizeBytes: number, value: number): void {
    this.log.push(`${register}/${sizeBytes} ${value.toString(16)}`);
  }
}

Deno.test("the address register keeps the bits that mean something", () => {
  const { bus } = host();
  assertEquals(bus.read(ADDRESS, 4), 0);
  bus.write(ADDRESS, 4, 0xffff_ffff);
  assertEquals(bus.read(ADDRESS, 4), 0x80ff_fffc);
  bus.write(ADDRESS, 4, 0x8000_0000);
  assertEquals(bus.read(ADDRESS, 4), 0x8000_0000);
});

Deno.test("narrow accesses to the address register are none", () => {
  const { bus } = host();
  bus.write(ADDRESS, 4, 0x8000_1234);
  for (const size of [1, 2]) {
    bus.write(ADDRESS, size, 0);
    assertEquals(bus.read(ADDRESS, size), size === 1 ? 0xff : 0xffff);
  }
  assertEquals(bus.read(ADDRESS, 4), 0x8000_1234);
});

Deno.test("no function anywhere answers, at any width", () => {
  const { bus } = host();
  for (const address of [0x8000_0000, 0x8000_0800, 0x80ff_ff00, 0]) {
    bus.write(ADDRESS, 4, address);
    bus.write(DATA, 4, 0x1234_5678);
    assertEquals(bus.read(DATA, 4), 0xffff_ffff);
    for (const at of [0, 2]) assertEquals(bus.read(DATA + at, 2), 0xffff);
    for (const at of [0, 1, 2, 3]) assertEquals(bus.read(DATA + at, 1), 0xff);
  }
});

Deno.test("a function that is plugged in answers at its place and nowhere else", () => {
  const { bus, pci } = host();
  const numbers = new Numbers();
  pci.add(1, 2, 3, numbers);
  bus.write(ADDRESS, 4, 0x8001_1340);
  assertEquals(bus.read(DATA, 4), 0x4342_4140);
  assertEquals(bus.read(DATA + 2, 2), 0x4342);
  assertEquals(bus.read(DATA + 1, 1), 0x41);
  bus.write(DATA + 3, 1, 0x5a);
  bus.write(DATA, 4, 0xdead_beef);
  assertEquals(numbers.log, ["67/1 5a", "64/4 deadbeef"]);
  for (const other of [0x0001_1340, 0x8001_1240, 0x8001_1b40, 0x8000_1340]) {
    bus.write(ADDRESS, 4, other);
    assertEquals(bus.read(DATA, 4), 0xffff_ffff, other.toString(16));
  }
});

Deno.test("functions go only where there is a place, and one to a place", () => {
  const { pci } = host();
  pci.add(255, 31, 7, new Numbers());
  assertThrows(() => pci.add(255, 31, 7, new Numbers()), RangeError, "0xff:0x1f.7 is taken");
  for (const [bus, device, fn] of [[256, 0, 0], [0, 32, 0], [0, 0, 8], [-1, 0, 0]] as const) {
    assertThrows(() => pci.add(bus, device, fn, new Numbers()), RangeError, "does not exist");
  }
});

Deno.test("a byte in the midst of the address register is the reset control", () => {
  const { bus, resets } = host();
  bus.write(ADDRESS, 4, 0x8000_0600);
  assertEquals(resets, []);
  bus.write(RESET, 1, 0x06);
  assertEquals([resets, bus.read(RESET, 1)], [["reset"], 0x06]);
  assertEquals(bus.read(ADDRESS, 4), 0x8000_0600);
});
