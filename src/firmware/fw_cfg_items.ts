/**
 * The items that fw_cfg offers: selectors, the file directory, and the contents
 * (QEMU's fw_cfg specification; numbers as in Linux's `<linux/qemu_fw_cfg.h>`).
 * The device that serves them is src/devices/fw_cfg.ts.
 *
 * @module
 */

import { hex } from "../hex.ts";

/** Selectors of the items that are not files. */
export const FW_CFG = {
  SIGNATURE: 0x00,
  ID: 0x01,
  RAM_SIZE: 0x03,
  NB_CPUS: 0x05,
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  MAX_CPUS: 0x0f,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  CMDLINE_ADDR: 0x13,
  CMDLINE_SIZE: 0x14,
  CMDLINE_DATA: 0x15,
  FILE_DIR: 0x19,
  FILE_FIRST: 0x20,
  IRQ0_OVERRIDE: 0x8002,
} as const;

/** From here on, bits of a selector have other meanings: write mode, architecture. */
const SELECTORS_END = 0x4000;
/** A file's name with its terminating NUL. */
const NAME_BYTES = 56;
const DIRECTORY_ENTRY_BYTES = 64;
/** ID bits: the port interface, DMA. */
const FEATURES = 0x3;
/** The file with the memory map. */
export const E820_FILE = "etc/e820";

/** A file, which the guest finds by its name. */
export interface FwCfgFile {
  /** At most 55 ASCII characters, as `opt/org.example/answer`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A part of the loaded kernel in guest memory, and the selectors that describe it. */
export interface FwCfgPiece {
  /** Below 4 GiB. */
  readonly gpa: bigint;
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly size?: number;
  readonly data?: number;
}

/** The sources of the items. */
export interface FwCfgContent {
  readonly cpus: number;
  /** All RAM, in bytes. */
  readonly memoryBytes: number;
  /** The memory map as BIOS call E820 returns it: base, length, type, 20 bytes each. */
  readonly e820: Uint8Array;
  /** The kernel's command line. */
  readonly commandLine: string;
  readonly files: readonly FwCfgFile[];
  /** Default: none. */
  readonly pieces?: readonly FwCfgPiece[];
}

/** A file that cannot be offered. */
export class FwCfgError extends Error {
  override readonly name = "FwCfgError";
}

/**
 * All items by their selectors.
 *
 * @throws {FwCfgError} for names that are too long, not plain ASCII, or duplicate
 *
 * @example
 * ```ts
 * import { fwCfgItems } from "./fw_cfg_items.ts";
 * const items = fwCfgItems({
 *   cpus: 1,
 *   memoryBytes: 1 << 20,
 *   e820: new Uint8Array(),
 *   commandLine: "",
 *   files: [{ name: "opt/answer", bytes: new Uint8Array([42]) }],
 * });
 * console.log(items.get(0x21)); // Uint8Array [42]: after etc/e820
 * ```
 */
export function fwCfgItems(content: FwCfgContent): Map<number, Uint8Array> {
  const { cpus, memoryBytes, e820, commandLine, files, pieces = [] } = content;
  const commandLineBytes = new TextEncoder().encode(commandLine + "\0");
  const items = new Map<number, Uint8Array>([
    [FW_CFG.SIGNATURE, new TextEncoder().encode("QEMU")],
    [FW_CFG.ID, littleEndian(4, FEATURES)],
    [FW_CFG.RAM_SIZE, littleEndian(8, memoryBytes)],
    [FW_CFG.NB_CPUS, littleEndian(2, cpus)],
    [FW_CFG.MAX_CPUS, littleEndian(2, cpus)],
    [FW_CFG.CMDLINE_SIZE, littleEndian(4, commandLineBytes.length)],
    [FW_CFG.CMDLINE_DATA, commandLineBytes],
    [FW_CFG.IRQ0_OVERRIDE, littleEndian(4, 1)],
  ]);
  for (const { gpa, bytes, address, size, data } of pieces) {
    items.set(address, littleEndian(4, Number(gpa)));
    if (size !== undefined) items.set(size, littleEndian(4, bytes.length));
    if (data !== undefined) items.set(data, bytes);
  }
  const all = [...files, { name: E820_FILE, bytes: e820 }]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  all.forEach(checkName);
  if (FW_CFG.FILE_FIRST + all.length > SELECTORS_END) {
    throw new FwCfgError(`${all.length} files are too many`);
  }
  items.set(FW_CFG.FILE_DIR, directory(all));
  all.forEach(({ bytes }, i) => items.set(FW_CFG.FILE_FIRST + i, bytes));
  return items;
}

function checkName({ name }: FwCfgFile, index: number, all: readonly FwCfgFile[]): void {
  if (name.length >= NAME_BYTES || !/^[\x21-\x7e]+$/.test(name)) {
    throw new FwCfgError(
      `"${name}" is not a file name: up to ${NAME_BYTES - 1} ASCII characters, no spaces`,
    );
  }
  if (all[index + 1]?.name === name) throw new FwCfgError(`"${name}" is given twice`);
}

/** The directory is big-endian: a count, then size, selector and name of each file. */
function directory(files: readonly FwCfgFile[]): Uint8Array {
  const bytes = new Uint8Array(4 + files.length * DIRECTORY_ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, files.length);
  files.forEach((file, i) => {
    if (file.bytes.length >= 2 ** 32) {
      throw new FwCfgError(`"${file.name}" has ${hex(file.bytes.length)} bytes: too many`);
    }
    const at = 4 + i * DIRECTORY_ENTRY_BYTES;
    view.setUint32(at, file.bytes.length);
    view.setUint16(at + 4, FW_CFG.FILE_FIRST + i);
    bytes.set(new TextEncoder().encode(file.name), at + 8);
  });
  return bytes;
}

function littleEndian(sizeBytes: number, value: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(value)]).buffer, 0, sizeBytes);
}
