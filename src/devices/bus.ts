/**
 * The port bus and the MMIO bus: which device claims an address.
 *
 * @module
 */

import { hex } from "../hex.ts";
import type { BusRange, Device } from "./device.ts";

/** Two devices want the same address: a bug of whoever puts the machine together. */
export class BusOverlapError extends Error {
  override readonly name = "BusOverlapError";
}

interface Claim extends BusRange {
  readonly device: Device;
}

/** Number of I/O ports (SDM volume 1, 19.3). */
const PORTS = 0x10000;
/** Owners are numbered in a byte. */
const MAX_CLAIMS = 255;
/** In the port map: nobody's. */
const NOBODY = 0;

/**
 * The 64 Ki I/O ports. Looking a port up is one array access.
 *
 * @example
 * ```ts
 * import { PortBus } from "./bus.ts";
 * import { DebugConsole } from "./debugcon.ts";
 * const bus = new PortBus();
 * bus.add({ start: 0xe9, size: 1 }, new DebugConsole((byte) => console.log(byte)));
 * bus.write(0xe9, 1, 0x48); // 72
 * console.log(bus.read(0x1234, 2).toString(16)); // "ffff": nobody answers
 * ```
 */
export class PortBus {
  readonly #claims: Claim[] = [];
  readonly #owner = new Uint8Array(PORTS);

  /** @throws {BusOverlapError} @throws {RangeError} */
  add(range: BusRange, device: Device): void {
    const { start, size } = range;
    this.#check(range, device);
    for (let port = start; port < start + size; port++) {
      const owner = this.deviceAt(port);
      if (owner) {
        throw new BusOverlapError(`${device.name} and ${owner.name} both claim port ${hex(port)}`);
      }
    }
    this.replace(range, device);
  }

  /** Adds a device in the place of those that answer there. @throws {RangeError} */
  replace(range: BusRange, device: Device): void {
    const { start, size } = range;
    this.#check(range, device);
    this.#claims.push({ start, size, device });
    this.#owner.fill(this.#claims.length, start, start + size);
  }

  #check({ start, size }: BusRange, device: Device): void {
    if (size <= 0 || start < 0 || start + size > PORTS || this.#claims.length === MAX_CLAIMS) {
      throw new RangeError(`${device.name}: no such ports: ${hex(start)}+${hex(size)}`);
    }
  }

  /** The device that answers at a port, if any. */
  deviceAt(port: number): Device | undefined {
    const owner = this.#owner[port]!;
    return owner === NOBODY ? undefined : this.#claims[owner - 1]!.device;
  }

  /** Whether any device answers at a port. */
  claims(port: number): boolean {
    return this.#owner[port] !== NOBODY;
  }

  /**
   * What the guest reads: from the port's device, or byte by byte from each
   * port's; where nobody answers, all ones.
   *
   * @param sizeBytes 1, 2 or 4
   */
  read(port: number, sizeBytes: number): number {
    const owner = this.#owner[port]!;
    if (owner !== NOBODY) {
      const { device, start, size } = this.#claims[owner - 1]!;
      const offset = port - start;
      if (sizeBytes <= device.accessBytes && offset + sizeBytes <= size) {
        return device.read(offset, sizeBytes);
      }
    }
    if (sizeBytes === 1) return 0xff;
    let value = 0;
    for (let i = 0; i < sizeBytes; i++) {
      value += this.read((port + i) & 0xffff, 1) * 2 ** (8 * i);
    }
    return value;
  }

  /** What the guest writes: to the port's device, or byte by byte to each port's. */
  write(port: number, sizeBytes: number, value: number): void {
    const owner = this.#owner[port]!;
    if (owner !== NOBODY) {
      const { device, start, size } = this.#claims[owner - 1]!;
      const offset = port - start;
      if (sizeBytes <= device.accessBytes && offset + sizeBytes <= size) {
        device.write(offset, sizeBytes, value);
        return;
      }
    }
    if (sizeBytes === 1) return;
    for (let i = 0; i < sizeBytes; i++) {
      this.write((port + i) & 0xffff, 1, (value >>> (8 * i)) & 0xff);
    }
  }
}

/**
 * Guest physical addresses outside RAM. GPAs are numbers here: devices live
 * below 2^53, and an address above is nobody's.
 */
export class MmioBus {
  readonly #claims: Claim[] = [];

  /** @throws {BusOverlapError} @throws {RangeError} */
  add(range: BusRange, device: Device): void {
    const { start, size } = range;
    const other = this.#claims.find((claim) =>
      start < claim.start + claim.size && claim.start < start + size
    );
    if (other) {
      throw new BusOverlapError(`${device.name} and ${other.device.name} overlap at ${hex(start)}`);
    }
    this.replace(range, device);
  }

  /** Adds a device in front of those that answer there. @throws {RangeError} */
  replace({ start, size }: BusRange, device: Device): void {
    if (size <= 0 || start < 0 || !Number.isSafeInteger(start + size)) {
      throw new RangeError(`${device.name}: no such addresses: ${hex(start)}+${hex(size)}`);
    }
    this.#claims.unshift({ start, size, device });
  }

  /** The device that answers at a GPA, if any. */
  deviceAt(gpa: number): Device | undefined {
    return this.#find(gpa)?.device;
  }

  /** Fills `data` with what the guest reads: all ones where nobody answers. */
  read(gpa: number, data: Uint8Array): void {
    const step = this.#step(gpa, data.length);
    for (let at = 0; at < data.length; at += step) {
      const claim = this.#find(gpa + at);
      const value = claim ? claim.device.read(gpa + at - claim.start, step) : 0xff;
      for (let i = 0; i < step; i++) data[at + i] = (value >>> (8 * i)) & 0xff;
    }
  }

  /** Takes what the guest writes; where nobody listens it is gone. */
  write(gpa: number, data: Uint8Array): void {
    const step = this.#step(gpa, data.length);
    for (let at = 0; at < data.length; at += step) {
      const claim = this.#find(gpa + at);
      if (!claim) continue;
      let value = 0;
      for (let i = 0; i < step; i++) value += data[at + i]! * 2 ** (8 * i);
      claim.device.write(gpa + at - claim.start, step, value);
    }
  }

  /** In what pieces an access goes to its device: whole where that understands it, or bytes. */
  #step(gpa: number, sizeBytes: number): number {
    const claim = this.#find(gpa);
    return claim && sizeBytes <= claim.device.accessBytes &&
        gpa - claim.start + sizeBytes <= claim.size
      ? sizeBytes
      : 1;
  }

  #find(gpa: number): Claim | undefined {
    for (const claim of this.#claims) {
      if (gpa >= claim.start && gpa < claim.start + claim.size) return claim;
    }
    return undefined;
  }
}
