/**
 * Every device against a guest that reads and writes at random: none throws, and
 * none gives a value that its width cannot have.
 *
 * @module
 */

import { assert } from "@std/assert";
import { A20Gate } from "../../src/devices/a20_gate.ts";
import { AcpiPm } from "../../src/devices/acpi_pm.ts";
import { MmioBus, PortBus } from "../../src/devices/bus.ts";
import { CmosRtc } from "../../src/devices/cmos_rtc.ts";
import { DebugConsole } from "../../src/devices/debugcon.ts";
import { DebugExitPort } from "../../src/devices/debug_exit_port.ts";
import type { Device } from "../../src/devices/device.ts";
import { FwCfg } from "../../src/devices/fw_cfg.ts";
import { fwCfgItems } from "../../src/firmware/fw_cfg_items.ts";
import { I8042 } from "../../src/devices/i8042.ts";
import { PciHost } from "../../src/devices/pci_host.ts";
import { PcTestDev } from "../../src/devices/pc_testdev.ts";
import { SystemControlA } from "../../src/devices/port92.ts";
import { PostPort } from "../../src/devices/post.ts";
import { PvPanic } from "../../src/devices/pvpanic.ts";
import { ResetControl } from "../../src/devices/reset_control.ts";
import { Uart16550 } from "../../src/devices/uart16550.ts";
import { ADDRESS_MAP, plugIn } from "../../src/machine/address_map.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { Random } from "../lib/random.ts";

const STEPS = 100_000;
const DEVICE_ROWS = ADDRESS_MAP.filter(({ device }) => device !== "kernel");
const PORTS = DEVICE_ROWS.filter(({ space }) => space === "port");
const [TEST_MEMORY] = DEVICE_ROWS.filter(({ space }) => space === "gpa");

/** All devices of a PC, with random time and input. */
function devices(random: Random, memory: GuestMemory) {
  const time = { ms: random.below(2) * 1.7e12 };
  const now = (): Date => new Date(time.ms);
  const levels: unknown[] = [];
  const irq = (level: boolean): void => {
    levels[0] = level;
  };
  const i8042 = new I8042(new A20Gate(), () => {}, irq);
  const pm = new AcpiPm(() => {}, () => time.ms, irq);
  const testdev = new PcTestDev({ irq: () => irq, flushPage: (gpa) => memory.hvaAt(BigInt(gpa)) });
  const rtc = new CmosRtc({ ram: memory.ranges, cpus: 1 }, now, irq);
  const items = fwCfgItems({
    cpus: 1,
    memoryBytes: memory.sizeBytes,
    e820: new Uint8Array(40),
    commandLine: "",
    files: [{ name: "opt/x", bytes: new Uint8Array(1000) }],
  });
  const fwCfg = new FwCfg(items, memory, () => 0);
  const uarts = [0, 1, 2, 3].map((i) => new Uart16550(() => {}, `uart${i}`, irq));
  const byName = new Map<string, Device>([
    ...uarts.map((uart) => [uart.name, uart] as const),
    ["debugcon", new DebugConsole(() => {})],
    ["debugcon2", new DebugConsole(() => {})],
    ["debug-exit", new DebugExitPort(() => {})],
    ["i8042-data", i8042.data],
    ["i8042-command", i8042.command],
    ["cmos", rtc],
    ["post", new PostPort()],
    ["port92", new SystemControlA(new A20Gate(), () => {})],
    ["testdev-data", testdev.data],
    ["testdev-flush", testdev.flush],
    ["testdev-byte0", testdev.bytes[0]],
    ["testdev-byte2", testdev.bytes[1]],
    ["testdev-irq", testdev.irq],
    ["testdev-iomem", testdev.iomem],
    ["pvpanic", new PvPanic(() => {})],
    ["fw_cfg", fwCfg.registers],
    ["fw_cfg-dma", fwCfg.dma],
    ["acpi-event", pm.event],
    ["acpi-control", pm.control],
    ["acpi-timer", pm.timer],
    ["pci-host", new PciHost(new ResetControl(() => {}))],
  ]);
  const pass = (): void => {
    time.ms += random.below(4) === 0 ? random.below(2 ** 31) : random.below(1000);
    rtc.poll();
    pm.poll();
    assert(rtc.dueInMs > 0, `the clock is due in ${rtc.dueInMs} ms`);
    const uart = random.of(uarts);
    if (uart.backlog < 1000) uart.receive(new Uint8Array(random.below(40)));
  };
  return { byName, pass };
}

function inRange(value: number, sizeBytes: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** (8 * sizeBytes);
}

function number(random: Random, sizeBytes: number): number {
  const most = 2 ** (8 * sizeBytes) - 1;
  const any = random.below(2 ** 32) % (most + 1);
  return random.of([any, any, any, 0, 1, most, most - 1, any >>> random.below(32)]);
}

for (let run = 0; run < 4; run++) {
  const [seed] = crypto.getRandomValues(new Uint32Array(1));
  Deno.test(`no device throws or returns nonsense, part ${run + 1}`, () => {
    const random = new Random(seed! || 1);
    using memory = new GuestMemory(1 << 20);
    const { byName, pass } = devices(random, memory);
    assert(DEVICE_ROWS.every(({ device }) => byName.has(device)), "all devices take part");
    const [ports, mmio] = [new PortBus(), new MmioBus()];
    plugIn(byName, ports, mmio);
    let step = 0;
    try {
      for (; step < STEPS; step++) {
        if (random.below(50) === 0) pass();
        const size = random.of([1, 2, 4]);
        const row = random.of(PORTS);
        const anywhere = random.below(10) === 0;
        const at = anywhere ? random.below(0x10000) : row.start + random.below(row.size);
        if (random.below(2)) ports.write(at, size, number(random, size));
        else assert(inRange(ports.read(at, size), size), `port 0x${at.toString(16)}`);
        const data = new Uint8Array(1 + random.below(8)).fill(random.below(256));
        const gpa = random.of([
          TEST_MEMORY!.start - 8 + random.below(TEST_MEMORY!.size + 16),
          random.below(2 ** 32),
          random.below(2 ** 32) * 2 ** random.below(33),
        ]);
        if (random.below(2)) mmio.write(gpa, data);
        else mmio.read(gpa, data);
      }
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step}`, { cause: error });
    }
  });
}
