/**
 * Serves the port exits of one vCPU out of its `kvm_run`, without allocating:
 * single accesses and whole strings (`rep outsb`) alike.
 *
 * @module
 */

import { KVM_EXIT_IO } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_EXIT_OFFSET, KVM_RUN_IO } from "../../ffi/kvm_run.ts";
import type { PortAccess } from "../devices/bus.ts";

const IO = KVM_RUN_IO.fields;
const BASE = KVM_RUN_EXIT_OFFSET;

/** One vCPU's pending port access. */
export class PortIo {
  readonly #area: Uint8Array;
  readonly #view: DataView;

  constructor(area: Uint8Array<ArrayBuffer>) {
    this.#area = area;
    this.#view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  }

  /** The port. */
  get port(): number {
    return this.#view.getUint16(BASE + IO.port[0], true);
  }

  /** The size of each access in bytes: 1, 2 or 4. */
  get sizeBytes(): number {
    return this.#area[BASE + IO.size[0]]!;
  }

  /** How many accesses: more than 1 for a string. */
  get count(): number {
    return this.#view.getUint32(BASE + IO.count[0], true);
  }

  /** Whether the guest writes. */
  get isOut(): boolean {
    return this.#area[BASE + IO.direction[0]] === KVM_EXIT_IO.OUT;
  }

  /** Writes what the guest wrote to the bus, or answers what it reads. */
  serve(bus: PortAccess): void {
    const { port, sizeBytes, count, isOut } = this;
    let at = this.#view.getUint32(BASE + IO.data_offset[0], true);
    for (let i = 0; i < count; i++, at += sizeBytes) {
      if (isOut) bus.write(port, sizeBytes, this.#load(at, sizeBytes));
      else this.#store(at, sizeBytes, bus.read(port, sizeBytes));
    }
  }

  #load(at: number, size: number): number {
    if (size === 1) return this.#area[at]!;
    return size === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  #store(at: number, size: number, value: number): void {
    if (size === 1) this.#area[at] = value;
    else if (size === 2) this.#view.setUint16(at, value, true);
    else this.#view.setUint32(at, value, true);
  }
}
