/**
 * Files that are often taken for kernels: what they are, and why they do not boot
 * here. Detection names them when no loader fits.
 *
 * @module
 */

const BOOT_SECTOR_BYTES = 512;
/** PE subsystems of EFI applications and drivers. */
const EFI_SUBSYSTEMS = [10, 11, 12, 13];

/** Formats by their first bytes, or bytes at an offset. */
const SIGNATURES: readonly (readonly [at: number, bytes: string, what: string])[] = [
  [0x8001, "CD001", "an ISO 9660 disc image; extract the kernel from it"],
  [0, "QFI\xfb", "a qcow2 disk image; there are no disks"],
  [0, "KDMV", "a VMDK disk image; there are no disks"],
  [0, "conectix", "a VHD disk image; there are no disks"],
  [0x38, "ARM\x64", "a Linux kernel for arm64"],
  [0, "\xfe\xed\xfa\xce", "a Mach-O file"],
  [0, "\xce\xfa\xed\xfe", "a Mach-O file"],
  [0, "\xcf\xfa\xed\xfe", "a Mach-O file"],
  [0, "!<arch>\n", "a library of object files; link them"],
  [0, "\x27\x05\x19\x56", "a U-Boot image; extract the kernel from it"],
  [0, "\xd0\x0d\xfe\xed", "a device tree or a FIT image"],
  [0, "07070", "a cpio archive, such as an initrd, not a kernel"],
  [0, "#!", "a script"],
];

/**
 * What a file is that no loader takes, if that is plain to see.
 *
 * @example
 * ```ts
 * import { foreignFormat } from "./foreign.ts";
 * console.log(foreignFormat(new TextEncoder().encode("#!/bin/sh\n"))); // "a script"
 * ```
 */
export function foreignFormat(image: Uint8Array): string | undefined {
  const known = SIGNATURES.find(([at, bytes]) => startsWith(image.subarray(at), bytes));
  return known?.[2] ?? peFormat(image);
}

function startsWith(image: Uint8Array, bytes: string): boolean {
  return [...bytes].every((char, i) => image[i] === char.charCodeAt(0));
}

/** Portable executables: EFI applications and Windows programs. */
function peFormat(image: Uint8Array): string | undefined {
  if (!startsWith(image, "MZ") || image.length < 0x40) return undefined;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const at = view.getUint32(0x3c, true);
  if (at + 0x60 > image.length || !startsWith(image.subarray(at), "PE\0\0")) return undefined;
  return EFI_SUBSYSTEMS.includes(view.getUint16(at + 0x5c, true))
    ? "an EFI application, and there is no EFI firmware; build the kernel for Multiboot, PVH or " +
      "the Linux boot protocol"
    : "a Windows program";
}

/** Whether a file is a boot sector with more sectors, which real firmware would not load. */
export function isDiskImage(image: Uint8Array): boolean {
  return image.length > BOOT_SECTOR_BYTES && image[510] === 0x55 && image[511] === 0xaa;
}
