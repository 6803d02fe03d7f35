/**
 * The devices of the PC: makes them and wires them to the interrupt controllers
 * and to the machine.
 *
 * @module
 */

import { decode, encode } from "../../ffi/layout.ts";
import { KVM_PIC_STATE } from "../../ffi/kvm_structs.ts";
import { KVM_IRQ_ROUTING_TYPE, KVM_IRQCHIP } from "../../ffi/kvm_consts.ts";
import { mprotect, PROT } from "../../ffi/memory.ts";
import { encodeE820, type MemoryMapEntry, pcMemoryMap } from "../firmware/memory_map.ts";
import {
  IO_APIC,
  ioApicPin,
  ISA_IRQS,
  PIC_CASCADE,
  RTC_IRQ,
  SCI_IRQ,
} from "../firmware/pc_interrupts.ts";
import type { BootPlan, Segment } from "../boot/plan.ts";
import { A20Gate } from "../devices/a20_gate.ts";
import { AcpiPm } from "../devices/acpi_pm.ts";
import { CmosRtc } from "../devices/cmos_rtc.ts";
import type { Device, IrqSink, MachineEventSink } from "../devices/device.ts";
import { FwCfg } from "../devices/fw_cfg.ts";
import { FW_CFG, type FwCfgFile, fwCfgItems, type FwCfgPiece } from "../firmware/fw_cfg_items.ts";
import { I8042 } from "../devices/i8042.ts";
import { IrqLine } from "../devices/irq_line.ts";
import { PciHost } from "../devices/pci_host.ts";
import { PcTestDev } from "../devices/pc_testdev.ts";
import { SystemControlA } from "../devices/port92.ts";
import { PostPort } from "../devices/post.ts";
import { PvPanic } from "../devices/pvpanic.ts";
import { ResetControl } from "../devices/reset_control.ts";
import type { GsiRoute, Vm } from "../kvm/vm.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { PAGE_BYTES } from "../pages.ts";

/** `KVM_CREATE_PIT2`: let the kernel answer at port 0x61, which shows the PIT's channel 2. */
const PIT_SPEAKER = 1;
/** How many inputs a PIC has. */
const PIC_INPUTS = 8;
/** The vectors that a PC's BIOS gives the PICs; open are timer, keyboard, cascade and clock. */
const FIRMWARE_PICS = [
  [KVM_IRQCHIP.PIC_MASTER, { base: 0x08, mask: 0xf8 }],
  [KVM_IRQCHIP.PIC_SLAVE, { base: 0x70, mask: 0xfe }],
] as const;
/** A channel of the PIT at its slowest, 18.2 Hz: rate generator, low byte then high byte. */
const TICKING = { count: 0x1_0000, mode: 2, rw_mode: 3, gate: 1 } as const;

/** The facts of a loaded kernel in fw_cfg, by the names of its segments. */
const HANDED_OVER: Readonly<Record<string, Omit<FwCfgPiece, "gpa" | "bytes">>> = {
  "Linux kernel": {
    address: FW_CFG.KERNEL_ADDR,
    size: FW_CFG.KERNEL_SIZE,
    data: FW_CFG.KERNEL_DATA,
  },
  "initrd": { address: FW_CFG.INITRD_ADDR, size: FW_CFG.INITRD_SIZE, data: FW_CFG.INITRD_DATA },
  "command line": { address: FW_CFG.CMDLINE_ADDR },
};

/** The options of the PC's devices. */
export interface PcOptions {
  readonly cpus: number;
  readonly memory: GuestMemory;
  readonly commandLine: string;
  readonly fwCfg: readonly FwCfgFile[];
  readonly onEvent: MachineEventSink;
  /** How often the guest has come out so far. */
  readonly exits: () => number;
  /** Called when what {@linkcode PcDevices.dueInMs} says may have become less. */
  readonly onSooner: () => void;
}

/** Puts interrupt controllers and timer into the kernel, wired as a PC's. Before any vCPU. */
export function createPcChips(vm: Vm): void {
  vm.createIrqchip();
  vm.createPit2(PIT_SPEAKER);
  vm.setGsiRouting(pcRoutes());
}

/** Sets interrupt controllers and timer up as firmware leaves them. */
export function setUpPcChips(vm: Vm): void {
  for (const [chip, { base, mask }] of FIRMWARE_PICS) {
    const state = decode(KVM_PIC_STATE, new Uint8Array(vm.irqchip(chip)));
    vm.setIrqchip(chip, encode(KVM_PIC_STATE, { ...state, imr: mask, irq_base: base, init4: 1 }));
  }
  const { channels: [timer, ...others] } = vm.pit2();
  vm.setPit2({ channels: [{ ...timer!, ...TICKING }, ...others] });
}

/** Each ISA interrupt leads to its PIC and to the I/O APIC, where the timer's input is another. */
function pcRoutes(): GsiRoute[] {
  const route = (gsi: number, irqchip: number, pin: number): GsiRoute => ({
    gsi,
    type: KVM_IRQ_ROUTING_TYPE.IRQCHIP,
    u: { irqchip: { irqchip, pin } },
  });
  const isa = Array.from({ length: ISA_IRQS }, (_, irq) => irq)
    .filter((irq) => irq !== PIC_CASCADE);
  const rest = Array.from({ length: IO_APIC.pins - ISA_IRQS }, (_, i) => ISA_IRQS + i);
  return [
    ...isa.map((irq) =>
      irq < PIC_INPUTS
        ? route(irq, KVM_IRQCHIP.PIC_MASTER, irq)
        : route(irq, KVM_IRQCHIP.PIC_SLAVE, irq - PIC_INPUTS)
    ),
    ...isa.map((irq) => route(irq, KVM_IRQCHIP.IOAPIC, ioApicPin(irq))),
    ...rest.map((gsi) => route(gsi, KVM_IRQCHIP.IOAPIC, gsi)),
  ];
}

/** The inputs of the interrupt controllers, for as many devices each as want one. */
export class PcInterrupts {
  readonly #lines: readonly IrqLine[];

  constructor(vm: Vm) {
    this.#lines = Array.from(
      { length: IO_APIC.pins },
      (_, gsi) => new IrqLine((level) => vm.setIrqLine(gsi, level)),
    );
  }

  /** A way for one more device to drive an input. */
  input(gsi: number): IrqSink {
    return this.#lines[gsi]!.input();
  }
}

/** The devices that only a PC has, by their names in the address map. */
export class PcDevices {
  readonly byName: ReadonlyMap<string, Device>;
  /** Where PCI functions are plugged in. */
  readonly pci: PciHost;
  readonly #pm: AcpiPm;
  readonly #rtc: CmosRtc;
  readonly #fwCfg: FwCfg;
  readonly #options: PcOptions;

  /** @throws {FwCfgError} for files that fw_cfg cannot offer */
  constructor(options: PcOptions, interrupts: PcInterrupts) {
    const { cpus, memory, onEvent } = options;
    const ram = memory.ranges;
    const a20 = new A20Gate();
    const i8042 = new I8042(a20, onEvent, interrupts.input(1));
    this.#options = options;
    this.#fwCfg = new FwCfg(this.#items(pcMemoryMap(ram)), memory, options.exits);
    const testdev = new PcTestDev({
      irq: (line) => interrupts.input(line),
      flushPage: (gpa) => forgetPage(memory, BigInt(gpa)),
    });
    this.#pm = new AcpiPm(onEvent, () => performance.now(), interrupts.input(SCI_IRQ));
    this.#rtc = new CmosRtc(
      { ram, cpus },
      () => new Date(),
      interrupts.input(RTC_IRQ),
      options.onSooner,
    );
    this.pci = new PciHost(new ResetControl(onEvent));
    this.byName = new Map<string, Device>([
      ["i8042-data", i8042.data],
      ["i8042-command", i8042.command],
      ["cmos", this.#rtc],
      ["post", new PostPort()],
      ["port92", new SystemControlA(a20, onEvent)],
      ["testdev-data", testdev.data],
      ["testdev-flush", testdev.flush],
      ["testdev-byte0", testdev.bytes[0]],
      ["testdev-byte2", testdev.bytes[1]],
      ["testdev-irq", testdev.irq],
      ["testdev-iomem", testdev.iomem],
      ["pvpanic", new PvPanic(onEvent)],
      ["fw_cfg", this.#fwCfg.registers],
      ["fw_cfg-dma", this.#fwCfg.dma],
      ["acpi-event", this.#pm.event],
      ["acpi-control", this.#pm.control],
      ["acpi-timer", this.#pm.timer],
      ["pci-host", this.pci],
    ]);
  }

  /** Raises interrupts whose time has come. */
  poll(): void {
    this.#pm.poll();
    this.#rtc.poll();
  }

  /** In how many milliseconds a device is to be polled, if at all. */
  get dueInMs(): number {
    return this.#rtc.dueInMs;
  }

  /** Puts the booted kernel into fw_cfg. */
  boot(plan: BootPlan): void {
    this.#fwCfg.offer(this.#items(plan.memoryMap, plan.segments));
  }

  #items(
    memoryMap: readonly MemoryMapEntry[],
    segments: readonly Segment[] = [],
  ): Map<number, Uint8Array> {
    const { cpus, memory, commandLine, fwCfg } = this.#options;
    return fwCfgItems({
      cpus,
      memoryBytes: memory.sizeBytes,
      e820: encodeE820(memoryMap),
      commandLine,
      files: fwCfg,
      pieces: segments.flatMap(({ name, gpa, bytes }) => {
        const selectors = HANDED_OVER[name];
        return selectors ? [{ ...selectors, gpa, bytes }] : [];
      }),
    });
  }
}

/**
 * Makes KVM drop its mapping of a page, by a change of the host's: to a wider
 * protection and back, so that no vCPU ever finds the page inaccessible.
 */
function forgetPage(memory: GuestMemory, gpa: bigint): void {
  const hva = memory.hvaAt(gpa);
  if (hva === undefined || memory.holeAt(gpa)) return;
  mprotect(hva, PAGE_BYTES, PROT.READ | PROT.WRITE | PROT.EXEC);
  mprotect(hva, PAGE_BYTES, PROT.READ | PROT.WRITE);
}
