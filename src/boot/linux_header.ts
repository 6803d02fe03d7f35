/**
 * The setup header of Linux/x86 kernels, boot protocol 2.00 to 2.15: one table of
 * fields, by which it is read, written and shown (Linux Documentation/arch/x86/boot.rst).
 *
 * @module
 */

import { hex } from "../hex.ts";
import { ImageError, ImageReader } from "./image.ts";
import type { Fact } from "./plan.ts";

/** The setup header's offset in the file. */
export const SETUP_HEADER = 0x1f1;
/** The offset of its field `header`, which `jump` is relative to. */
const AFTER_JUMP = 0x202;
const BOOT_FLAG = 0xaa55;
/** `HdrS` */
const MAGIC = 0x53726448;
const SECTOR_BYTES = 512;
/** The most bytes that the real-mode part has. */
const MAX_SETUP_BYTES = 0x8000;
/** The default for `initrd_addr_max`. */
const OLD_INITRD_MAX = 0x37ff_ffff;
/** The default for `cmdline_size`. */
const OLD_COMMAND_LINE = 255;
/** `LToP` */
const KERNEL_INFO_MAGIC = 0x506f544c;
/** A flag in `setup_type_max`: the kernel takes indirect data, too. */
const SETUP_INDIRECT = 0x8000_0000;
const SHORT_JUMP = 0xeb;
/** Where the header must end to fit into `boot_params`. */
const MAX_HEADER_END = 0x290;

/** Bits of `loadflags`. */
export const LOADFLAGS = {
  LOADED_HIGH: 1 << 0,
  KASLR_FLAG: 1 << 1,
  QUIET_FLAG: 1 << 5,
  KEEP_SEGMENTS: 1 << 6,
  CAN_USE_HEAP: 1 << 7,
} as const;

/** Bits of `xloadflags`. */
export const XLOADFLAGS = {
  XLF_KERNEL_64: 1 << 0,
  XLF_CAN_BE_LOADED_ABOVE_4G: 1 << 1,
  XLF_EFI_HANDOVER_32: 1 << 2,
  XLF_EFI_HANDOVER_64: 1 << 3,
  XLF_EFI_KEXEC: 1 << 4,
  XLF_5LEVEL: 1 << 5,
  XLF_5LEVEL_ENABLED: 1 << 6,
} as const;

interface Field {
  readonly name: string;
  readonly at: number;
  readonly size: 1 | 2 | 4 | 8;
  /** The first protocol version with it. */
  readonly since: number;
  readonly meaning: string;
  readonly flags?: Readonly<Record<string, number>>;
}

function field(
  name: string,
  at: number,
  size: Field["size"],
  since: number,
  meaning: string,
  flags?: Field["flags"],
): Field {
  return { name, at, size, since, meaning, ...(flags ? { flags } : {}) };
}

/** Every field of the header, in file order. */
const FIELDS: readonly Field[] = [
  field("setup_sects", 0x1f1, 1, 0x200, "sectors of real-mode code behind the first; 0 means 4"),
  field("root_flags", 0x1f2, 2, 0x200, "mount the root read-only unless the command line says"),
  field("syssize", 0x1f4, 4, 0x204, "protected-mode code in units of 16 bytes"),
  field("vid_mode", 0x1fa, 2, 0x200, "video mode; the loader writes it"),
  field("root_dev", 0x1fc, 2, 0x200, "root device number, obsolete"),
  field("boot_flag", 0x1fe, 2, 0x200, "a boot sector's signature"),
  field("jump", 0x200, 2, 0x200, "a short jump over the header, and so its length"),
  field("header", 0x202, 4, 0x200, "the signature HdrS"),
  field("version", 0x206, 2, 0x200, "boot protocol version"),
  field("realmode_swtch", 0x208, 4, 0x200, "hook before protected mode"),
  field("start_sys_seg", 0x20c, 2, 0x200, "load-low segment, obsolete"),
  field("kernel_version", 0x20e, 2, 0x200, "where the version text is, less 0x200"),
  field("type_of_loader", 0x210, 1, 0x200, "the loader writes its number"),
  field("loadflags", 0x211, 1, 0x200, "how to load the kernel", LOADFLAGS),
  field("setup_move_size", 0x212, 2, 0x200, "what protocols before 2.02 move to 0x90000"),
  field("code32_start", 0x214, 4, 0x200, "the 32-bit entry, where the kernel is loaded"),
  field("ramdisk_image", 0x218, 4, 0x200, "the loader writes the initrd's address"),
  field("ramdisk_size", 0x21c, 4, 0x200, "the loader writes the initrd's size"),
  field("heap_end_ptr", 0x224, 2, 0x201, "where the real-mode heap ends, less 0x200"),
  field("ext_loader_ver", 0x226, 1, 0x202, "more of the loader's version"),
  field("ext_loader_type", 0x227, 1, 0x202, "more of the loader's number"),
  field("cmd_line_ptr", 0x228, 4, 0x202, "the loader writes the command line's address"),
  field("initrd_addr_max", 0x22c, 4, 0x203, "the last address that the initrd may take"),
  field("kernel_alignment", 0x230, 4, 0x205, "alignment of a relocatable kernel"),
  field("relocatable_kernel", 0x234, 1, 0x205, "the kernel may be loaded elsewhere"),
  field("min_alignment", 0x235, 1, 0x20a, "the least alignment, as a power of two"),
  field("xloadflags", 0x236, 2, 0x20c, "what the kernel can do", XLOADFLAGS),
  field("cmdline_size", 0x238, 4, 0x206, "the longest command line, without its end"),
  field("hardware_subarch", 0x23c, 4, 0x207, "0 is a PC"),
  field("hardware_subarch_data", 0x240, 8, 0x207, "data for other hardware"),
  field(
    "payload_offset",
    0x248,
    4,
    0x208,
    "the compressed kernel, from the protected-mode code on",
  ),
  field("payload_length", 0x24c, 4, 0x208, "the compressed kernel's size"),
  field("setup_data", 0x250, 8, 0x209, "the loader writes where further data are"),
  field("pref_address", 0x258, 8, 0x20a, "where the kernel wants to be loaded"),
  field("init_size", 0x260, 4, 0x20a, "memory from there on that it needs to start"),
  field("handover_offset", 0x264, 4, 0x20b, "EFI handover entry"),
  field("kernel_info_offset", 0x268, 4, 0x20f, "the kernel_info structure in the kernel"),
];

/** A parsed kernel with a setup header; fields that its version lacks have their defaults. */
export interface LinuxHeader {
  /** The file's first bytes: real-mode code, the header in it. */
  readonly setup: Uint8Array;
  /** The rest of the file: protected-mode code. */
  readonly kernel: Uint8Array;
  /** `major << 8 | minor`. */
  readonly version: number;
  readonly loadedHigh: boolean;
  readonly code32Start: number;
  readonly initrdAddrMax: number;
  readonly kernelAlignment: number;
  readonly relocatable: boolean;
  readonly xloadflags: number;
  readonly cmdlineSize: number;
  /** The compressed kernel, where the header locates it. */
  readonly payload: Uint8Array | undefined;
  readonly prefAddress: bigint;
  readonly initSize: number;
  /** The largest type of `setup_data` that the kernel knows. */
  readonly setupTypeMax: number;
}

/** Whether a file has a setup header in its place. */
export function isLinux(image: Uint8Array): boolean {
  return image.length >= AFTER_JUMP + 6 &&
    new ImageReader(image, "").u32(AFTER_JUMP, "") === MAGIC;
}

/**
 * Reads the setup header.
 *
 * @throws {ImageError} naming the field that is wrong
 *
 * @example
 * ```ts
 * import { parseLinuxHeader } from "./linux_header.ts";
 * const header = parseLinuxHeader(Deno.readFileSync("images/linux-info.bzimage"));
 * console.log(header.version.toString(16)); // "20f"
 * ```
 */
export function parseLinuxHeader(image: Uint8Array): LinuxHeader {
  const reader = new ImageReader(image, "Linux setup header");
  if (!isLinux(image)) {
    throw new ImageError('Linux setup header: no "HdrS" at 0x202: not a Linux kernel');
  }
  const version = reader.u16(0x206, "version");
  if (version >> 8 !== 2) {
    throw new ImageError(
      `Linux setup header: version ${hex(version)} is not one of the boot protocols 2.00 to 2.15`,
    );
  }
  const read = (name: string, otherwise = 0): number => {
    const { at, size, since } = FIELDS.find((known) => known.name === name)!;
    if (version < since) return otherwise;
    return Number(readField(reader, at, size, name));
  };
  const bootFlag = read("boot_flag");
  if (bootFlag !== BOOT_FLAG) {
    throw new ImageError(`Linux setup header: boot_flag ${hex(bootFlag)} is not 0xaa55`);
  }
  const setupSects = read("setup_sects");
  const setupBytes = ((setupSects || 4) + 1) * SECTOR_BYTES;
  if (setupBytes > MAX_SETUP_BYTES) {
    throw new ImageError(
      `Linux setup header: setup_sects ${hex(setupSects)} is more than 32 KiB of real-mode code`,
    );
  }
  const setup = reader.slice(0n, BigInt(setupBytes), "setup_sects");
  const kernel = image.subarray(setupBytes);
  if (kernel.length === 0) {
    throw new ImageError(
      `Linux setup header: setup_sects ${hex(setupSects)} leaves no protected-mode code: ` +
        `the file ends at ${hex(image.length)}; it is truncated or damaged`,
    );
  }
  const syssizeBytes = read("syssize") * 16;
  if (syssizeBytes > kernel.length + 15) {
    throw new ImageError(
      `Linux setup header: syssize says ${hex(syssizeBytes)} bytes of protected-mode code, ` +
        `but the file has ${hex(kernel.length)}; it is truncated or damaged`,
    );
  }
  const relocatable = read("relocatable_kernel") !== 0;
  const kernelAlignment = read("kernel_alignment");
  if (relocatable && (kernelAlignment === 0 || !Number.isInteger(Math.log2(kernelAlignment)))) {
    throw new ImageError(
      `Linux setup header: kernel_alignment ${hex(kernelAlignment)} is not a power of two`,
    );
  }
  const payloadBytes = read("payload_length");
  const payload = payloadBytes === 0 ? undefined : new ImageReader(kernel, reader.what).slice(
    BigInt(read("payload_offset")),
    BigInt(payloadBytes),
    "payload_offset + payload_length",
  );
  return {
    setup,
    kernel,
    version,
    loadedHigh: (read("loadflags") & LOADFLAGS.LOADED_HIGH) !== 0,
    code32Start: read("code32_start"),
    initrdAddrMax: read("initrd_addr_max", OLD_INITRD_MAX),
    kernelAlignment,
    relocatable,
    xloadflags: read("xloadflags"),
    cmdlineSize: read("cmdline_size", OLD_COMMAND_LINE),
    payload,
    prefAddress: version >= 0x20a ? reader.u64(0x258, "pref_address") : 0n,
    initSize: read("init_size"),
    setupTypeMax: setupTypeMax(kernel, read("kernel_info_offset")),
  };
}

function readField(
  reader: ImageReader,
  at: number,
  size: Field["size"],
  name: string,
): number | bigint {
  switch (size) {
    case 1:
      return reader.slice(BigInt(at), 1n, name)[0]!;
    case 2:
      return reader.u16(at, name);
    case 4:
      return reader.u32(at, name);
    case 8:
      return reader.u64(at, name);
  }
}

/** From `kernel_info`, if the kernel has one. */
function setupTypeMax(kernel: Uint8Array, offset: number): number {
  const reader = new ImageReader(kernel, "Linux kernel_info");
  if (offset === 0 || reader.u32(offset, "header") !== KERNEL_INFO_MAGIC) return 0;
  return reader.u32(offset + 4, "size") < 16
    ? 0
    : reader.u32(offset + 12, "setup_type_max") & ~SETUP_INDIRECT;
}

/**
 * The header for `boot_params`: the bytes from {@linkcode SETUP_HEADER} up to the
 * end that `jump` gives.
 *
 * @throws {ImageError} when that is less than the version has, or does not fit
 */
export function headerBytes({ setup, version }: LinuxHeader): Uint8Array {
  const [opcode, length] = setup.subarray(0x200);
  const end = AFTER_JUMP + length!;
  const least = Math.max(...FIELDS.filter((f) => f.since <= version).map((f) => f.at + f.size));
  if (opcode !== SHORT_JUMP || end < least || end > MAX_HEADER_END) {
    throw new ImageError(
      `Linux setup header: jump ${hex(opcode! | length! << 8)} says that the header ends at ` +
        `${hex(end)}; protocol ${versionText(version)} needs a short jump to ${hex(least)} ` +
        `or up to ${hex(MAX_HEADER_END)}`,
    );
  }
  return setup.subarray(SETUP_HEADER, end);
}

/** Values for fields, by their names. */
export type HeaderValues = Readonly<Record<string, number | bigint>>;

/**
 * Writes those of the fields that the protocol version has.
 *
 * @param bytes the header at the offset that it has in the file and in `boot_params`
 */
export function writeHeader(bytes: Uint8Array, version: number, values: HeaderValues): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [name, value] of Object.entries(values)) {
    const { at, size, since } = FIELDS.find((known) => known.name === name)!;
    if (version < since) continue;
    if (size === 1) view.setUint8(at, Number(value));
    else if (size === 2) view.setUint16(at, Number(value), true);
    else if (size === 4) view.setUint32(at, Number(value), true);
    else view.setBigUint64(at, BigInt(value), true);
  }
}

/** `2.15` */
export function versionText(version: number): string {
  return `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
}

/** Every field of the header that its protocol version has, with its meaning. */
export function headerFacts({ setup, version, setupTypeMax }: LinuxHeader): Fact[] {
  const reader = new ImageReader(setup, "Linux setup header");
  const facts = FIELDS.filter((f) => f.since <= version).map((f): Fact => {
    const value = readField(reader, f.at, f.size, f.name);
    const flags = Object.entries(f.flags ?? {})
      .filter(([, bit]) => Number(value) & bit)
      .map(([name]) => name);
    const text = f.name === "version" ? `${hex(value)} ${versionText(version)}` : hex(value);
    return [f.name, [text, ...flags].join(" "), f.meaning];
  });
  const release = kernelRelease(reader);
  if (release !== undefined) facts.push(["release", release, "the version text"]);
  if (setupTypeMax > 0) {
    facts.push(["setup_type_max", hex(setupTypeMax), "from kernel_info: the last setup_data type"]);
  }
  return facts;
}

/** The version text, up to the first byte that is not printable. */
function kernelRelease({ bytes }: ImageReader): string | undefined {
  const offset = bytes[0x20e]! | bytes[0x20f]! << 8;
  if (offset === 0 || offset + 0x200 >= bytes.length) return undefined;
  let text = "";
  for (const byte of bytes.subarray(offset + 0x200, offset + 0x200 + 256)) {
    if (byte < 0x20 || byte > 0x7e) break;
    text += String.fromCharCode(byte);
  }
  return text === "" ? undefined : text;
}
