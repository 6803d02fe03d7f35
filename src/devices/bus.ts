/**
 * The port bus and the MMIO bus: an access goes to the device that claims its
 * address and comes back with who that was. The run loop calls them for every
 * IO and MMIO exit, so an access takes no lookup but its own and allocates
 * nothing.
 *
 * @module
 */

import { hex } from "../hex.ts";
import type { BusRange, Device } from "./device.ts";

/** Two devices claim the same address: a bug in how the machine was put together. */
export class BusOverlapError extends Error {
  override readonly name = "BusOverlapError";
}

interface Claim extends BusRange {
  readonly device: Device;
}

/** Number of I/O ports (SDM volume 1, 19.3). */
const PORTS = 0x10000;
/** The port map numbers claims in 16 bits. */
const MAX_CLAIMS = 65535;
/** In the port map: no device claims the port. */
const UNCLAIMED = 0;

/**
 * The 64 Ki I/O ports. Finding a port's device is one array access.
 *
 * @example
 * ```ts
 * import { PortBus } from "./bus.ts";
 * import { DebugConsole } from "./debugcon.ts";
 * const bus = new PortBus();
 * bus.add({ start: 0xe9, size: 1 }, new DebugConsole((byte) => console.log(byte)));
 * console.log(bus.write(0xe9, 1, 0x48)?.name); // 72, then "debugcon"
 * console.log(bus.read(0x1234, 2).toString(16), bus.reader); // "ffff" undefined: unclaimed
 * ```
 */
export class PortBus {
  readonly #claims: Claim[] = [];
  readonly #owner = new Uint16Array(PORTS);
  #reader: Device | undefined;

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

  /** Adds a device in the place of those that claim its ports now. @throws {RangeError} */
  replace(range: BusRange, device: Device): void {
    const { start, size } = range;
    this.#check(range, device);
    this.#claims.push({ start, size, device });
    this.#owner.fill(this.#claims.length, start, start + size);
  }

  #check({ start, size }: BusRange, device: Device): void {
    if (size <= 0 || start < 0 || start + size > PORTS) {
      throw new RangeError(`${device.name}: no such ports: ${hex(start)}+${hex(size)}`);
    }
    if (this.#claims.length === MAX_CLAIMS) {
      throw new RangeError(`${device.name}: the bus has ${MAX_CLAIMS} devices already`);
    }
  }

  /** The device that claims a port, if any. */
  deviceAt(port: number): Device | undefined {
    const owner = this.#owner[port]!;
    return owner === UNCLAIMED ? undefined : this.#claims[owner - 1]!.device;
  }

  /** Whether any device claims a port. */
  claims(port: number): boolean {
    return this.#owner[port] !== UNCLAIMED;
  }

  /** The device that claims the port of the last {@linkcode read}, if any. */
  get reader(): Device | undefined {
    return this.#reader;
  }

  /**
   * Reads from the port's device, or byte by byte from each port's; unclaimed
   * ports read as all ones. {@linkcode reader} says who answered.
   *
   * @param sizeBytes 1, 2 or 4
   */
  read(port: number, sizeBytes: number): number {
    const owner = this.#owner[port]!;
    if (owner === UNCLAIMED) {
      this.#reader = undefined;
      return sizeBytes === 1 ? 0xff : this.#readBytes(port, sizeBytes);
    }
    const { device, start, size } = this.#claims[owner - 1]!;
    this.#reader = device;
    const offset = port - start;
    return sizeBytes <= device.accessBytes && offset + sizeBytes <= size
      ? device.read(offset, sizeBytes)
      : this.#readBytes(port, sizeBytes);
  }

  /**
   * Writes to the port's device, or byte by byte to each port's.
   *
   * @param sizeBytes 1, 2 or 4
   * @returns the device that claims the port; `undefined` where none does
   */
  write(port: number, sizeBytes: number, value: number): Device | undefined {
    const owner = this.#owner[port]!;
    if (owner === UNCLAIMED) {
      if (sizeBytes > 1) this.#writeBytes(port, sizeBytes, value);
      return undefined;
    }
    const { device, start, size } = this.#claims[owner - 1]!;
    const offset = port - start;
    if (sizeBytes <= device.accessBytes && offset + sizeBytes <= size) {
      device.write(offset, sizeBytes, value);
    } else {
      this.#writeBytes(port, sizeBytes, value);
    }
    return device;
  }

  #readBytes(port: number, sizeBytes: number): number {
    let value = this.read(port, 1);
    const first = this.#reader;
    for (let i = 1; i < sizeBytes; i++) {
      value += this.read((port + i) & 0xffff, 1) * 2 ** (8 * i);
    }
    this.#reader = first;
    return value;
  }

  #writeBytes(port: number, sizeBytes: number, value: number): void {
    for (let i = 0; i < sizeBytes; i++) {
      this.write((port + i) & 0xffff, 1, (value >>> (8 * i)) & 0xff);
    }
  }
}

/**
 * Guest physical addresses outside RAM. GPAs are numbers here: devices live
 * below 2^53, and no device claims an address above.
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

  /** Adds a device in front of those that claim its range now. @throws {RangeError} */
  replace({ start, size }: BusRange, device: Device): void {
    if (size <= 0 || start < 0 || !Number.isSafeInteger(start + size)) {
      throw new RangeError(`${device.name}: no such addresses: ${hex(start)}+${hex(size)}`);
    }
    this.#claims.unshift({ start, size, device });
  }

  /** The device that claims a GPA, if any. */
  deviceAt(gpa: number): Device | undefined {
    return this.#find(gpa)?.device;
  }

  /**
   * Fills `data` with what the guest reads; unclaimed addresses read as all ones.
   *
   * @param data at most 8 bytes
   * @returns the device that claims the GPA; `undefined` where none does
   */
  read(gpa: number, data: Uint8Array): Device | undefined {
    const claim = this.#find(gpa);
    if (claim && takesWhole(claim, gpa, data.length)) readPiece(claim, gpa, data, 0, data.length);
    else for (let i = 0; i < data.length; i++) readPiece(this.#find(gpa + i), gpa + i, data, i, 1);
    return claim?.device;
  }

  /**
   * Gives a device what the guest writes; unclaimed addresses drop it.
   *
   * @param data at most 8 bytes
   * @returns the device that claims the GPA; `undefined` where none does
   */
  write(gpa: number, data: Uint8Array): Device | undefined {
    const claim = this.#find(gpa);
    if (claim && takesWhole(claim, gpa, data.length)) writePiece(claim, gpa, data, 0, data.length);
    else for (let i = 0; i < data.length; i++) writePiece(this.#find(gpa + i), gpa + i, data, i, 1);
    return claim?.device;
  }

  #find(gpa: number): Claim | undefined {
    for (const claim of this.#claims) {
      if (gpa >= claim.start && gpa < claim.start + claim.size) return claim;
    }
    return undefined;
  }
}

/** Whether a device takes an access as it is; if not, it comes in bytes. */
function takesWhole({ device, start, size }: Claim, gpa: number, sizeBytes: number): boolean {
  return sizeBytes <= device.accessBytes && gpa - start + sizeBytes <= size;
}

/** Reads `sizeBytes` at a GPA into `data` from index `at` on. */
function readPiece(
  claim: Claim | undefined,
  gpa: number,
  data: Uint8Array,
  at: number,
  sizeBytes: number,
): void {
  const value = claim ? claim.device.read(gpa - claim.start, sizeBytes) : 0xff;
  for (let i = 0; i < sizeBytes; i++) data[at + i] = (value >>> (8 * i)) & 0xff;
}

/** Writes `sizeBytes` of `data` from index `at` on to a GPA. */
function writePiece(
  claim: Claim | undefined,
  gpa: number,
  data: Uint8Array,
  at: number,
  sizeBytes: number,
): void {
  if (!claim) return;
  let value = 0;
  for (let i = 0; i < sizeBytes; i++) value += data[at + i]! * 2 ** (8 * i);
  claim.device.write(gpa - claim.start, sizeBytes, value);
}
