/**
 * The options of an experiment's machine, in the units that people use, and their checks.
 *
 * @module
 */

import { BOOT_PROTOCOLS, type BootModule, type BootProtocol } from "../boot/plan.ts";
import type { VirtualMachineOptions } from "../machine/machine.ts";
import { type Hole, HOLE_KINDS, HoleError, type HoleKind, holeParts } from "../memory/hole.ts";
import { PAGE_BYTES } from "../pages.ts";
import { addressOf, sizeBytesOf } from "../units.ts";
import { type Address, toAddress } from "./address.ts";

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
 * The options of a machine.
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
   * timers and ACPI, for kernels.
   */
  readonly machine?: "bare" | "pc";
  /** How many vCPUs. Default 1; more need a PC, which has at most 255. */
  readonly cpus?: number;
  /** Ranges of RAM that are bad, each as `GPA+SIZE:KIND` or as an object. */
  readonly holes?: readonly (string | (Omit<Hole, "gpa"> & { readonly gpa: Address }))[];
  /** Where COM1 and the debug consoles write. Default: nowhere. */
  readonly output?: Output;
  /** The kernel's command line. Default: empty. */
  readonly commandLine?: string;
  /**
   * What to do with a read that no device or handler answers: `error` (default on a bare
   * machine) throws an `UnansweredExitError`, `ones` (default on a PC, where firmware and
   * kernels probe for devices) reads all ones, as an empty bus does.
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
 * vm.load(new Uint8Array([0xf4]), { protocol: "flat64", loadAddress: 0x20000 });
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
  readonly loadAddress?: Address;
  /** Where a flat image is entered. */
  readonly entry?: Address;
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
  /** End the run after this many milliseconds. Default: never. */
  readonly timeoutMs?: number;
}

const DEFAULT_MEMORY = "128M";
/** An xAPIC id has 8 bits, of which all ones are the broadcast. */
const MAX_CPUS = 255;

/** A machine's options as the machine takes them. @throws {RangeError} @throws {HoleError} */
export function machineOptions(options: MachineOptions): VirtualMachineOptions {
  const { machine = "bare", cpus = 1, faultRetries, kvm } = options;
  requireOneOf("machine", machine, ["bare", "pc"]);
  requireOneOf("unanswered", options.unanswered ?? "error", ["error", "ones"]);
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_CPUS) {
    throw new RangeError(`cpus: ${cpus} is not a number of vCPUs: a machine has 1 to ${MAX_CPUS}`);
  }
  if (machine === "bare" && cpus !== 1) {
    throw new RangeError(`cpus: a bare machine has one vCPU, not ${cpus}; make it a "pc"`);
  }
  return {
    type: machine,
    cpus,
    memoryBytes: parseMemory(options.memory ?? DEFAULT_MEMORY),
    holes: (options.holes ?? []).map(parseHole),
    output: byteSink(options.output),
    commandLine: options.commandLine ?? "",
    ...(faultRetries === undefined ? {} : { faultRetries }),
    ...(kvm === undefined ? {} : { kvmPath: kvm }),
  };
}

/** An image's options as loaders take them. @throws {RangeError} */
export function loadOptions(options: LoadOptions) {
  const { protocol = "auto", name = "", modules, loadAddress, entry } = options;
  requireOneOf("protocol", protocol, ["auto", ...BOOT_PROTOCOLS]);
  return {
    protocol,
    name,
    ...(modules === undefined ? {} : { modules }),
    ...(loadAddress === undefined ? {} : { loadAddress: toAddress("loadAddress", loadAddress) }),
    ...(entry === undefined ? {} : { entry: toAddress("entry", entry) }),
  };
}

/** @throws {RangeError} for a value that a program without types may have given */
function requireOneOf(option: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new RangeError(`${option}: "${value}" is unknown; choose from ${choices.join(", ")}`);
}

/** A size in bytes. @throws {RangeError} */
function parseMemory(size: number | string): number {
  const bytes = typeof size === "number" ? size : sizeBytesOf(size);
  if (bytes !== undefined && Number.isInteger(bytes) && bytes > 0 && bytes % PAGE_BYTES === 0) {
    return bytes;
  }
  throw new RangeError(
    bytes === undefined
      ? `memory: ${size} is not a size; write it as "128M" or 4096`
      : `memory: ${size} is not a whole number of pages; write it as "128M" or 4096`,
  );
}

/** A hole. @throws {HoleError} */
function parseHole(hole: NonNullable<MachineOptions["holes"]>[number]): Hole {
  if (typeof hole !== "string") return { ...hole, gpa: Number(toAddress("holes", hole.gpa)) };
  const parts = holeParts(hole);
  const gpa = parts && addressOf(parts.gpa);
  const sizeBytes = parts && sizeBytesOf(parts.size);
  const kind = HOLE_KINDS.find((known): known is HoleKind => known === parts?.kind);
  if (gpa === undefined || sizeBytes === undefined || !kind || parts?.more !== undefined) {
    throw new HoleError(
      `"${hole}" is not a hole; write it as 0x200000+4K:lazy, with one of ${HOLE_KINDS.join(", ")}`,
    );
  }
  return { gpa: Number(gpa), sizeBytes, kind };
}

/** A function that takes bytes. */
function byteSink(output: Output | undefined): (byte: number) => void {
  if (output === undefined) return () => {};
  if (typeof output === "function") return output;
  const one = new Uint8Array(1);
  return (byte) => {
    one[0] = byte;
    output.writeSync(one);
  };
}
