/**
 * ELF Linux kernels (vmlinux), entered with `boot_params` as the decompressor of a
 * bzImage enters them (Linux Documentation/arch/x86/boot.rst).
 *
 * @module
 */

import { hex } from "../hex.ts";
import { elfFacts, physicalEntry, placeElf } from "./elf.ts";
import { parseElf } from "./elf_file.ts";
import { longEntry, protectedEntry } from "./entry.ts";
import { ImageError } from "./image.ts";
import {
  headerBytes,
  headerFacts,
  type LinuxHeader,
  LOADFLAGS,
  SETUP_HEADER,
  writeHeader,
} from "./linux_header.ts";
import {
  LINUX_SELECTORS,
  type LinuxLimits,
  type LinuxProtocol,
  putBootParams,
} from "./linux_params.ts";
import { type BootOptions, type BootPlan, Placement, unusedOptions } from "./plan.ts";

/** The limits of a kernel without a setup header: what kernels have had since version 2.12. */
const WITHOUT_HEADER: LinuxLimits = {
  version: 0x20f,
  cmdlineSize: 2047,
  initrdAddrMax: 0x7fff_ffff,
  setupTypeMax: 0,
};
const HEADER_END = 0x26c;

/**
 * Plans the boot of an ELF kernel, in the mode of its class.
 *
 * @param header the setup header of the bzImage that the kernel was unpacked from
 * @throws {ImageError}
 */
export function planVmlinux(
  image: Uint8Array,
  protocol: LinuxProtocol,
  options: BootOptions,
  header?: LinuxHeader,
): BootPlan {
  const elf = parseElf(image);
  const chosen = `linux:${elf.bits}` as const;
  if (protocol !== "linux" && protocol !== chosen) {
    throw new ImageError(
      `an ELF${elf.bits} kernel has only a ${elf.bits}-bit entry`,
      { remedy: { option: "boot", value: chosen } },
    );
  }
  const placement = new Placement(options.ram, options.reserved);
  placeElf(elf, placement);
  const rip = physicalEntry(elf);
  if (!placement.holds(rip)) {
    throw new ImageError(`ELF header: e_entry ${hex(elf.entry)} lies in no loaded segment`);
  }
  if (elf.bits === 32 && rip >= 1n << 32n) {
    throw new ImageError(
      `ELF header: e_entry ${hex(elf.entry)} is above 4 GiB, where 32-bit code ends`,
    );
  }
  const entry = elf.bits === 64
    ? longEntry(placement, rip, LINUX_SELECTORS)
    : protectedEntry(placement, rip, LINUX_SELECTORS);
  const params = putBootParams(placement, {
    ...(header ?? WITHOUT_HEADER),
    header: header ? headerBytes(header) : plainHeader(),
    loadedAt: elf.segments[0]!.physicalAddress & 0xffff_ffffn,
  }, options);
  return {
    protocol: chosen,
    description: `Linux vmlinux (ELF${elf.bits}${header ? ", unpacked from a bzImage" : ""}), ` +
      `${elf.bits}-bit entry`,
    entry: { ...entry, registers: { rsi: params.gpa } },
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: [...(header ? headerFacts(header) : []), ...elfFacts(elf), ...params.facts],
    warnings: [],
    unused: unusedOptions(options, ["moduleArguments", "loadAddress", "entry"]),
  };
}

/** A setup header for a kernel without one. */
function plainHeader(): Uint8Array {
  const { version, cmdlineSize, initrdAddrMax } = WITHOUT_HEADER;
  const bytes = new Uint8Array(HEADER_END);
  writeHeader(bytes, version, {
    boot_flag: 0xaa55,
    header: 0x5372_6448,
    version,
    loadflags: LOADFLAGS.LOADED_HIGH,
    initrd_addr_max: initrdAddrMax,
    kernel_alignment: 0x20_0000,
    cmdline_size: cmdlineSize,
  });
  return bytes.subarray(SETUP_HEADER);
}
