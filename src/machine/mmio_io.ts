/**
 * Serves the MMIO exits of one vCPU out of its `kvm_run`, without allocating.
 *
 * @module
 */

import { KVM_RUN_EXIT_OFFSET, KVM_RUN_MMIO } from "../../ffi/kvm_run.ts";
import type { MmioBus } from "../devices/bus.ts";
import { type GuestMemory, GuestMemoryError } from "../memory/guest_memory.ts";

const MMIO = KVM_RUN_MMIO.fields;
const BASE = KVM_RUN_EXIT_OFFSET;

/** One vCPU's pending access to a GPA without memory. */
export class MmioIo {
  readonly #area: Uint8Array;
  readonly #view: DataView;
  /** The bytes of the access for each size, made once. */
  readonly #bySize: readonly Uint8Array[];

  constructor(area: Uint8Array<ArrayBuffer>, readonly bus: MmioBus) {
    this.#area = area;
    this.#view = new DataView(area.buffer, area.byteOffset, area.byteLength);
    const at = BASE + MMIO.data[0];
    this.#bySize = Array.from({ length: 9 }, (_, size) => area.subarray(at, at + size));
  }

  /** The GPA: exact below 2^53, and nobody's above. */
  get gpa(): number {
    const at = BASE + MMIO.phys_addr[0];
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  /** Whether the guest writes. */
  get isWrite(): boolean {
    return this.#area[BASE + MMIO.is_write[0]] !== 0;
  }

  /** Writes what the guest wrote to the bus, or answers what it reads. */
  serve(): void {
    const data = this.#data();
    if (this.isWrite) this.bus.write(this.gpa, data);
    else this.bus.read(this.gpa, data);
  }

  /**
   * Makes the access to memory, on the guest's behalf: KVM has taken the data of
   * a store out of the instruction, and completes a load with what is put here, so
   * that neither is lost or done twice when the guest goes on.
   *
   * @returns whether the memory took it
   */
  serveFrom(memory: GuestMemory): boolean {
    const data = this.#data();
    const gpa = BigInt(this.gpa);
    try {
      if (this.isWrite) memory.write(gpa, data);
      else data.set(memory.read(gpa, data.length));
      return true;
    } catch (error) {
      if (error instanceof GuestMemoryError) return false;
      throw error;
    }
  }

  #data(): Uint8Array {
    return this.#bySize[Math.min(8, this.#view.getUint32(BASE + MMIO.len[0], true))]!;
  }
}
