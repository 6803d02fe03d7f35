/**
 * What every entry of a Linux kernel is handed: command line, initrd, setup_data,
 * and `boot_params`, the "zero page" (Linux Documentation/arch/x86/boot.rst and
 * zero-page.rst, `asm/bootparam.h`).
 *
 * @module
 */

import { hex } from "../hex.ts";
import type { Selectors } from "./entry.ts";
import { ImageError } from "./image.ts";
import { type HeaderValues, SETUP_HEADER, writeHeader } from "./linux_header.ts";
import { E820_ENTRY_BYTES, encodeE820 } from "../firmware/memory_map.ts";
import { commandLineString } from "./modules.ts";
import { type BootModule, type BootOptions, type Fact, mapFact, type Placement } from "./plan.ts";

/** The protocols of Linux kernels; `linux` lets the kernel's header choose. */
export type LinuxProtocol = "linux" | "linux:16" | "linux:32" | "linux:64";

/** `__BOOT_CS` and `__BOOT_DS` */
export const LINUX_SELECTORS: Selectors = { code: 0x10, data: 0x18 };

/** Offsets in `boot_params` outside the setup header. */
const AT = { acpiRsdp: 0x070, e820Entries: 0x1e8, e820Table: 0x2d0 } as const;
const PARAMS_BYTES = 4096;
/** `E820_MAX_ENTRIES_ZEROPAGE` */
const MAX_E820_ENTRIES = 128;
/** A loader without an assigned number. */
export const TYPE_OF_LOADER = 0xff;
/** The `setup_data` type of a random seed, and the size of a node's header. */
const SETUP_RNG_SEED = 9;
const SETUP_DATA_BYTES = 16;
/** The initrd stays above the PC's low megabyte. */
const HIGH_MEMORY = 0x10_0000n;
/** Archives in an initrd are aligned to this. */
const ARCHIVE_ALIGNMENT = 4;

/** A kernel's limits on what it is handed. */
export interface LinuxLimits {
  /** The boot protocol's version. */
  readonly version: number;
  readonly cmdlineSize: number;
  readonly initrdAddrMax: number;
  readonly setupTypeMax: number;
}

/** The command line, zero-terminated. @throws {ImageError} when it is too long */
export function linuxCommandLine(options: BootOptions, { cmdlineSize }: LinuxLimits): Uint8Array {
  return commandLineString(options, cmdlineSize + 1);
}

/**
 * The value of `vga=`, for `vid_mode` (boot.rst, "Special Command Line Options").
 *
 * @example
 * ```ts
 * import { videoMode } from "./linux_params.ts";
 * console.log(videoMode("quiet vga=0x317")); // 791
 * ```
 */
export function videoMode(commandLine = ""): number {
  const text = lastParameter(commandLine, "vga") ?? "normal";
  const names: Readonly<Record<string, number>> = { normal: 0xffff, ext: 0xfffe, ask: 0xfffd };
  const octal = text.replace(/^0(?=[0-7])/, "0o");
  const mode = names[text] ?? (octal === "" ? NaN : Number(octal));
  return Number.isInteger(mode) && mode >= 0 && mode <= 0xffff ? mode : 0xffff;
}

/**
 * The value of `mem=`, where memory ends for the kernel, in bytes. Loaders respect it, too.
 *
 * @returns `undefined` where it is not given
 */
export function memoryEnd(commandLine = ""): bigint | undefined {
  const match = /^(0x[0-9a-f]+|\d+)([kmgtpe]?)$/i.exec(lastParameter(commandLine, "mem") ?? "");
  if (!match) return undefined;
  const shift = 10 * (" kmgtpe".indexOf((match[2] || " ").toLowerCase()));
  return BigInt(match[1]!.replace(/^0(?=[0-7])/, "0o")) << BigInt(shift);
}

function lastParameter(commandLine: string, name: string): string | undefined {
  const words = commandLine.split(/\s+/).filter((word) => word.startsWith(`${name}=`));
  return words.at(-1)?.slice(name.length + 1);
}

/** An initrd in guest memory. */
export interface PlacedInitrd {
  readonly gpa: bigint;
  readonly sizeBytes: number;
}

/**
 * Puts the initrd as high as the kernel, `mem=` and RAM allow. Several files become
 * one initrd: the kernel unpacks concatenated archives.
 *
 * @throws {ImageError} when there is no room
 */
export function placeInitrd(
  placement: Placement,
  { modules = [], commandLine }: BootOptions,
  { initrdAddrMax }: LinuxLimits,
): PlacedInitrd | undefined {
  const bytes = joined(modules);
  if (bytes.length === 0) return undefined;
  const memory = memoryEnd(commandLine);
  const allowed = BigInt(initrdAddrMax) + 1n;
  const end = memory !== undefined && memory < allowed ? memory : allowed;
  const gpa = placement.findBelow(end, BigInt(bytes.length), HIGH_MEMORY);
  if (gpa === undefined) {
    throw new ImageError(
      `the initrd of ${hex(bytes.length)} bytes has no room in RAM below ${hex(end)} ` +
        `(initrd_addr_max ${hex(initrdAddrMax)}${memory === undefined ? "" : ", mem="})`,
      { remedy: "memory" },
    );
  }
  placement.put("initrd", gpa, bytes);
  return { gpa, sizeBytes: bytes.length };
}

function joined(modules: readonly BootModule[]): Uint8Array {
  if (modules.length === 1) return modules[0]!.bytes;
  const up = (size: number): number => Math.ceil(size / ARCHIVE_ALIGNMENT) * ARCHIVE_ALIGNMENT;
  const bytes = new Uint8Array(modules.reduce((sum, m) => up(sum) + m.bytes.length, 0));
  let end = 0;
  for (const module of modules) {
    bytes.set(module.bytes, up(end));
    end = up(end) + module.bytes.length;
  }
  return bytes;
}

/** The addresses and sizes of a kernel's inputs in guest memory. */
export interface HandedOver {
  /** The setup header's fields that point to it. */
  readonly values: HeaderValues;
  readonly facts: readonly Fact[];
}

/** Puts the initrd and the seed in place, and fills in the setup header's fields for them. */
export function handOver(
  placement: Placement,
  limits: LinuxLimits,
  options: BootOptions,
  commandLineAt: bigint,
): HandedOver {
  const seed = limits.setupTypeMax < SETUP_RNG_SEED ? undefined : options.rngSeed;
  const seedAt = seed && placement.putTable("setup_data", setupData(SETUP_RNG_SEED, seed));
  const initrd = placeInitrd(placement, options, limits);
  const facts: Fact[] = [
    ["command_line", hex(commandLineAt), "where the kernel finds it"],
  ];
  if (initrd) {
    const end = initrd.gpa + BigInt(initrd.sizeBytes);
    facts.push(["initrd", `${hex(initrd.gpa)}..${hex(end)}`, "where the kernel finds it"]);
  }
  if (seedAt) facts.push(["rng_seed", hex(seedAt), "setup_data of type 9"]);
  return {
    values: {
      vid_mode: videoMode(options.commandLine),
      type_of_loader: TYPE_OF_LOADER,
      ramdisk_image: initrd?.gpa ?? 0,
      ramdisk_size: initrd?.sizeBytes ?? 0,
      cmd_line_ptr: commandLineAt,
      setup_data: seedAt ?? 0n,
    },
    facts,
  };
}

function setupData(type: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SETUP_DATA_BYTES + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, type, true);
  view.setUint32(12, content.length, true);
  bytes.set(content, SETUP_DATA_BYTES);
  return bytes;
}

/** A kernel entered with `boot_params`. */
export interface ParamsKernel extends LinuxLimits {
  /** The setup header from {@linkcode SETUP_HEADER} on. */
  readonly header: Uint8Array;
  /** Where the kernel was loaded. */
  readonly loadedAt: bigint;
}

/**
 * Puts `boot_params` and all that they point to in place. Call it last: the memory
 * map in them must cover every table.
 *
 * @throws {ImageError}
 */
export function putBootParams(
  placement: Placement,
  kernel: ParamsKernel,
  options: BootOptions,
): { readonly gpa: bigint; readonly facts: Fact[] } {
  const params = new Uint8Array(PARAMS_BYTES);
  const gpa = placement.putTable("boot_params", params);
  const commandLine = placement.putTable("command line", linuxCommandLine(options, kernel));
  const { values, facts } = handOver(placement, kernel, options, commandLine);
  params.set(kernel.header, SETUP_HEADER);
  writeHeader(params, kernel.version, { ...values, code32_start: kernel.loadedAt });
  const map = placement.memoryMap();
  if (map.length > MAX_E820_ENTRIES) {
    throw new ImageError(
      `the memory map has ${hex(map.length)} entries; boot_params hold ${hex(MAX_E820_ENTRIES)}`,
    );
  }
  params[AT.e820Entries] = map.length;
  params.set(encodeE820(map, E820_ENTRY_BYTES), AT.e820Table);
  const rsdp = options.rsdp?.gpa;
  if (rsdp) new DataView(params.buffer).setBigUint64(AT.acpiRsdp, rsdp, true);
  return {
    gpa,
    facts: [
      ["boot_params", hex(gpa), "handed over in RSI"],
      ...facts,
      ...(rsdp ? [["acpi_rsdp_addr", hex(rsdp), "ACPI root pointer"] as const] : []),
      mapFact("e820", map),
    ],
  };
}
