/**
 * Handlers: functions of an experiment that take the place of devices.
 *
 * @module
 */

import type { Device } from "../devices/device.ts";
import type { DebugExit, HypercallExit } from "../exits/exit.ts";
import { hex } from "../hex.ts";
import type { MsrDevice } from "../machine/msr.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { FaultAction } from "../faults/resolve.ts";
import type { Address } from "./address.ts";
import type { GuestVcpu } from "./vcpu.ts";

/**
 * Serves ports or MMIO, in place of any device there.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xe6, 0x10, 0xf4]), { protocol: "flat16" }); // out 0x10, al; hlt
 * vm.onPort(0x10, { write: (value, { address }) => console.log(address, value) }); // 16 0
 * vm.runSync();
 * ```
 */
export interface AccessHandler {
  /**
   * The guest reads: returns an integer, of which the guest gets as many bytes as it reads.
   * Without this function reads are unanswered.
   */
  read?(access: Access): number;
  /** The guest writes. Without this function writes are lost. */
  write?(value: number, access: Access): void;
}

/**
 * An access to a handler's range.
 *
 * @example
 * ```ts
 * import type { Access } from "./handlers.ts";
 * const access: Access = { address: 0x11, offset: 1, sizeBytes: 2 };
 * console.log(access.address); // 17
 * ```
 */
export interface Access {
  /** The port or GPA. */
  readonly address: number;
  /** The offset from the range's start. */
  readonly offset: number;
  /** Bytes: 1, 2 or 4. An MMIO access of 8 comes byte by byte. */
  readonly sizeBytes: number;
}

/**
 * A range of ports or of guest physical addresses: `[start, start + size)`.
 *
 * @example
 * ```ts
 * import type { AddressRange } from "./handlers.ts";
 * const range: AddressRange = { start: 0x10, size: 4 };
 * console.log(range.size); // 4
 * ```
 */
export interface AddressRange {
  /** The first address. */
  readonly start: Address;
  /** How many. */
  readonly size: Address;
}

/**
 * Serves a model-specific register that KVM does not know, or whose value it refuses.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(
 *   new Uint8Array([0x66, 0xb9, 0x45, 0x23, 0x01, 0x00, 0x0f, 0x32, 0xf4]), // rdmsr of 0x12345
 *   { protocol: "flat16" },
 * );
 * vm.onMsr(0x12345, { read: () => 42n });
 * vm.runSync();
 * console.log(vm.vcpu.regs.rax); // 42n
 * ```
 */
export interface MsrHandler {
  /** RDMSR: returns the value, or `undefined` for a #GP. Without this function: a #GP. */
  read?(index: number, vcpu: GuestVcpu): number | bigint | undefined;
  /** WRMSR: `false` gives a #GP. Without this function: a #GP. */
  write?(value: bigint, index: number, vcpu: GuestVcpu): boolean | void;
}

/**
 * Answers a hypercall: returns RAX, or `undefined` to leave the call to vmexit.
 *
 * @example
 * ```ts
 * import type { HypercallHandler } from "./handlers.ts";
 * const accept: HypercallHandler = ({ nr }) => nr === 12n ? 0n : undefined;
 * console.log(accept.length); // 1
 * ```
 */
export type HypercallHandler = (
  call: HypercallExit,
  vcpu: GuestVcpu,
) => number | bigint | undefined;

/**
 * Sees a debug exit: see `Machine.onException`.
 *
 * @example
 * ```ts
 * import type { DebugHandler } from "./handlers.ts";
 * const pass: DebugHandler = ({ vector }) => vector === 3 ? "inject" : undefined;
 * console.log(pass.length); // 1
 * ```
 */
export type DebugHandler = (exit: DebugExit, vcpu: GuestVcpu) => "inject" | undefined | void;

/**
 * Decides about a memory fault: see `Machine.onMemoryFault`.
 *
 * @example
 * ```ts
 * import type { MemoryFaultHandler } from "./handlers.ts";
 * const strict: MemoryFaultHandler = ({ access }) => access === "write" ? "stop" : undefined;
 * console.log(strict.length); // 1
 * ```
 */
export type MemoryFaultHandler = (fault: MemoryFault) => FaultAction | undefined | void;

/** A handler as a device. */
export class HandlerDevice implements Device {
  readonly name: string;
  readonly accessBytes = 4;
  readonly #start: number;
  readonly #handler: AccessHandler;

  constructor(name: string, start: number, handler: AccessHandler) {
    this.name = name;
    this.#start = start;
    this.#handler = handler;
  }

  /** Whether it answers reads. */
  get reads(): boolean {
    return this.#handler.read !== undefined;
  }

  read(offset: number, sizeBytes: number): number {
    const ones = 2 ** (8 * sizeBytes) - 1;
    if (!this.#handler.read) return ones;
    const access = this.#access(offset, sizeBytes);
    const value = this.#handler.read(access);
    if (!Number.isInteger(value)) {
      throw new TypeError(
        `${this.name}(${hex(access.address)}): read() returned ${value}, not an integer`,
      );
    }
    return sizeBytes === 4 ? value >>> 0 : value & ones;
  }

  write(offset: number, sizeBytes: number, value: number): void {
    this.#handler.write?.(value, this.#access(offset, sizeBytes));
  }

  #access(offset: number, sizeBytes: number): Access {
    return { address: this.#start + offset, offset, sizeBytes };
  }
}

/** Whether a device, or the handler in its place, answers reads. */
export function answersReads(device: Device | undefined): boolean {
  return device instanceof HandlerDevice ? device.reads : device !== undefined;
}

/** Handlers of model-specific registers, by index. */
export class MsrHandlers implements MsrDevice {
  readonly name = "onMsr";
  readonly #byIndex = new Map<number, MsrHandler>();
  readonly #vcpus: readonly GuestVcpu[];

  /** @param vcpus may be filled later */
  constructor(vcpus: readonly GuestVcpu[]) {
    this.#vcpus = vcpus;
  }

  /** Sets the handler of a register. */
  set(index: number, handler: MsrHandler): void {
    this.#byIndex.set(index, handler);
  }

  read(index: number, cpu: number): bigint | undefined {
    const value = this.#byIndex.get(index)?.read?.(index, this.#vcpus[cpu]!);
    return value === undefined ? undefined : BigInt(value);
  }

  write(index: number, value: bigint, cpu: number): boolean {
    const handler = this.#byIndex.get(index);
    return handler?.write !== undefined &&
      handler.write(value, index, this.#vcpus[cpu]!) !== false;
  }
}
