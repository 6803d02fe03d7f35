/**
 * PCI configuration mechanism 1: an address register at 0xcf8 and, at 0xcfc, a
 * window on the function that it selects (PCI Local Bus specification 3.0, section
 * 3.2.2.3.2).
 *
 * @module
 */

import { hex } from "../hex.ts";
import type { Device } from "./device.ts";
import { RESET_CONTROL_PORT } from "./reset_control.ts";

/** The ports 0xcf8 to 0xcff. */
export const PCI_PORTS = { start: 0xcf8, size: 8 } as const;
const RESET_CONTROL = RESET_CONTROL_PORT - PCI_PORTS.start;
/** Where the window starts. */
const DATA = 4;
const ENABLE = 0x8000_0000;
/** Enable bit, bus, device, function and register; the others read as 0. */
const ADDRESS_BITS = 0x80ff_fffc;
/** Where a function is: bits 8 to 23 of the address register. */
const functionKey = (bus: number, device: number, fn: number): number =>
  (bus << 8) | (device << 3) | fn;

/** The configuration space of one PCI function. Registers count in bytes. */
export interface PciFunction {
  /** @param sizeBytes 1, 2 or 4, within one aligned group of four */
  readConfig(register: number, sizeBytes: number): number;
  writeConfig(register: number, sizeBytes: number, value: number): void;
}

/** The host bridge. An absent function reads as all ones and ignores writes. */
export class PciHost implements Device {
  readonly name = "pci-host";
  readonly accessBytes = 4;
  #address = 0;
  readonly #functions = new Map<number, PciFunction>();

  /** @param resetControl the register behind byte accesses to 0xcf9 */
  constructor(readonly resetControl: Device) {}

  /**
   * Plugs a function in.
   *
   * @throws {RangeError} when the address is invalid or taken
   */
  add(bus: number, device: number, fn: number, pciFunction: PciFunction): void {
    const exists = bus >= 0 && bus < 256 && device >= 0 && device < 32 && fn >= 0 && fn < 8;
    const key = functionKey(bus, device, fn);
    if (!exists || this.#functions.has(key)) {
      const place = `${hex(bus)}:${hex(device)}.${fn}`;
      throw new RangeError(`PCI function ${place} ${exists ? "is taken" : "does not exist"}`);
    }
    this.#functions.set(key, pciFunction);
  }

  read(offset: number, sizeBytes: number): number {
    if (offset >= DATA) {
      return this.#function()?.readConfig(this.#register(offset), sizeBytes) ?? allOnes(sizeBytes);
    }
    if (sizeBytes === 4 && offset === 0) return this.#address;
    if (sizeBytes === 1 && offset === RESET_CONTROL) return this.resetControl.read(0, 1);
    return allOnes(sizeBytes);
  }

  write(offset: number, sizeBytes: number, value: number): void {
    if (offset >= DATA) {
      this.#function()?.writeConfig(this.#register(offset), sizeBytes, value);
    } else if (sizeBytes === 4 && offset === 0) {
      this.#address = (value & ADDRESS_BITS) >>> 0;
    } else if (sizeBytes === 1 && offset === RESET_CONTROL) {
      this.resetControl.write(0, 1, value);
    }
  }

  /** The register that an access to the window selects. The bus keeps accesses within it. */
  #register(offset: number): number {
    return (this.#address & 0xfc) + offset - DATA;
  }

  #function(): PciFunction | undefined {
    if (this.#address < ENABLE) return undefined;
    return this.#functions.get((this.#address >>> 8) & 0xffff);
  }
}

function allOnes(sizeBytes: number): number {
  return 2 ** (8 * sizeBytes) - 1;
}
