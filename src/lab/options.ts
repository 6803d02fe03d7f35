/**
 * What a machine of an experiment is to be, in the units that people use.
 *
 * @module
 */

import type { BootModule, BootProtocol } from "../boot/plan.ts";
import { type Hole, HOLE_KINDS, HoleError, type HoleKind, holeParts } from "../memory/hole.ts";
import { addressOf, sizeBytesOf } from "../units.ts";

/**
 * Where a guest's output goes: called for every byte, or a stream such as `Deno.stdout`.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M", output: Deno.stdout });
 * vm.load(new Uint8Array([0xb0, 0x2a, 0xe6, 0xe9, 0xf4]), { protocol: "flat16" });
 * vm.runSync(); // prints *
 * ```
 */
export type Output = ((byte: number) => void) | { writeSync(bytes: Uint8Array): number };

/**
 * What a machine is to be.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "16M", holes: ["0x200000+4K:lazy"] });
 * console.log(vm.memory.sizeBytes); // 16777216
 * ```
 */
export interface MachineOptions {
  /** Guest RAM: bytes, or a size such as `"128M"`. Default 128 MiB. */
  readonly memory?: number | string;
  /**
   * `bare` (default): no interrupt controller, HLT ends the run. `pc`: interrupt controllers,
   * timers and ACPI, as kernels want it.
   */
  readonly machine?: "bare" | "pc";
  /** How many vCPUs. Default 1; more need a PC. */
  readonly cpus?: number;
  /** Ranges of RAM that are bad, each as `GPA+SIZE:KIND` or as an object. */
  readonly holes?: readonly (string | Hole)[];
  /** Where COM1 and the debug consoles write. Default: nowhere. */
  readonly output?: Output;
  /** The kernel's command line. Default: empty. */
  readonly commandLine?: string;
  /**
   * What becomes of a read that no device or handler answers: `error` (default on a bare
   * machine) throws an `UnansweredExitError`, `ones` (default on a PC, where firmware and
   * kernels look for devices) reads all ones as an empty bus does.
   */
  readonly unanswered?: "error" | "ones";
  /** How often a memory fault that comes back is resolved again. Default 3. */
  readonly faultRetries?: number;
  /** The KVM device. Default `/dev/kvm`. */
  readonly kvm?: string;
}

/**
 * How an image is to be booted.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xf4]), { protocol: "flat64", loadAddress: 0x20000n });
 * console.log(vm.vcpu.regs.rip); // 131072n
 * ```
 */
export interface LoadOptions {
  /** Default `auto`: by the image's headers, or its name. */
  readonly protocol?: BootProtocol | "auto";
  /** The image's file name, by whose ending `auto` knows flat images. */
  readonly name?: string;
  /** Files for the guest: an initial RAM disk, Multiboot modules. */
  readonly modules?: readonly BootModule[];
  /** Where a flat image is loaded. */
  readonly loadAddress?: bigint;
  /** Where a flat image is entered. */
  readonly entry?: bigint;
}

/**
 * How long a run may take.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xeb, 0xfe]), { protocol: "flat16" });
 * console.log(vm.runSync({ timeoutMs: 20 }).kind); // timeout
 * ```
 */
export interface RunLimits {
  /** End the run after so many milliseconds. Default: never. */
  readonly timeoutMs?: number;
}

/**
 * Guest RAM by guest physical address (GPA). Every access is checked.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.memory.write(0x8000n, new Uint8Array([0xf4]));
 * console.log(vm.memory.read(0x8000n, 1)[0]); // 244
 * ```
 */
export interface GuestRam {
  /** All of it, in bytes. */
  readonly sizeBytes: number;
  /** Copies bytes out. @throws {GuestMemoryError} */
  read(gpa: bigint, sizeBytes: number): Uint8Array<ArrayBuffer>;
  /** Copies bytes in. @throws {GuestMemoryError} */
  write(gpa: bigint, bytes: Uint8Array): void;
}

/** A size in bytes. @throws {RangeError} */
export function parseMemory(size: number | string): number {
  const bytes = typeof size === "number" ? size : sizeBytesOf(size);
  if (bytes !== undefined && Number.isInteger(bytes) && bytes > 0 && bytes % 4096 === 0) {
    return bytes;
  }
  throw new RangeError(`memory: ${size} is no whole number of pages; write it as "128M" or 4096`);
}

/** A hole. @throws {HoleError} */
export function parseHole(hole: string | Hole): Hole {
  if (typeof hole !== "string") return hole;
  const parts = holeParts(hole);
  const gpa = parts && addressOf(parts.gpa);
  const sizeBytes = parts && sizeBytesOf(parts.size);
  const kind = HOLE_KINDS.find((known): known is HoleKind => known === parts?.kind);
  if (gpa === undefined || sizeBytes === undefined || !kind || parts?.more !== undefined) {
    throw new HoleError(
      `"${hole}" is no hole; write it as 0x200000+4K:lazy, with one of ${HOLE_KINDS.join(", ")}`,
    );
  }
  return { gpa: Number(gpa), sizeBytes, kind };
}

/** A function that takes bytes. */
export function byteSink(output: Output | undefined): (byte: number) => void {
  if (output === undefined) return () => {};
  if (typeof output === "function") return output;
  const one = new Uint8Array(1);
  return (byte) => {
    one[0] = byte;
    output.writeSync(one);
  };
}
