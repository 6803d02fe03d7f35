/**
 * Linux kernels by the Linux/x86 boot protocol: picks one of three entries for a
 * bzImage or zImage, and plans the 32-bit and 64-bit ones; the real-mode entry and
 * ELF kernels have separate files (Linux Documentation/arch/x86/boot.rst).
 *
 * @module
 */

import { hex } from "../hex.ts";
import { isElf } from "./elf_file.ts";
import { longEntry, protectedEntry } from "./entry.ts";
import { ImageError } from "./image.ts";
import {
  headerBytes,
  headerFacts,
  type LinuxHeader,
  parseLinuxHeader,
  versionText,
  XLOADFLAGS,
} from "./linux_header.ts";
import { placeKernel } from "./linux_kernel.ts";
import { LINUX_SELECTORS, type LinuxProtocol, putBootParams } from "./linux_params.ts";
import { planRealMode } from "./linux_real.ts";
import { type BootOptions, type BootPlan, Placement, unusedOptions } from "./plan.ts";
import { planVmlinux } from "./vmlinux.ts";

/** The 64-bit entry's offset in the protected-mode code. */
const ENTRY_64 = 0x200n;
/** The first protocol version with the 32-bit entry. */
const FIRST_32 = 0x207;

/**
 * Plans the boot of a Linux kernel.
 *
 * @throws {ImageError}
 *
 * @example
 * ```ts
 * import { planLinux } from "./linux.ts";
 * import { ramLayout } from "../memory/ram.ts";
 * const image = Deno.readFileSync("images/linux-info.bzimage");
 * const plan = planLinux(image, "linux", { ram: ramLayout(16 << 20) });
 * console.log(plan.protocol); // "linux:64"
 * ```
 */
export function planLinux(
  image: Uint8Array,
  protocol: LinuxProtocol,
  options: BootOptions,
): BootPlan {
  if (isElf(image)) return planVmlinux(image, protocol, options);
  const header = parseLinuxHeader(image);
  if (options.payload) return planVmlinux(options.payload, protocol, options, header);
  switch (protocol === "linux" ? fittingEntry(header) : protocol) {
    case "linux:16":
      return planRealMode(header, options);
    case "linux:32":
      return planProtectedMode(header, 32, options);
    default:
      return planProtectedMode(header, 64, options);
  }
}

/** The entry that needs the least: a kernel's real-mode code needs a BIOS. */
function fittingEntry(
  { xloadflags, version, loadedHigh, code32Start }: LinuxHeader,
): LinuxProtocol {
  if (xloadflags & XLOADFLAGS.XLF_KERNEL_64) return "linux:64";
  return version >= FIRST_32 && loadedHigh && code32Start !== 0 ? "linux:32" : "linux:16";
}

function planProtectedMode(header: LinuxHeader, bits: 32 | 64, options: BootOptions): BootPlan {
  if (!header.loadedHigh || header.code32Start === 0) {
    throw new ImageError(
      `Linux setup header: ${
        header.loadedHigh ? "code32_start 0x0" : "loadflags without LOADED_HIGH (a zImage)"
      } leaves no protected-mode entry`,
      { remedy: { option: "boot", value: "linux:16" } },
    );
  }
  if (bits === 64 && !(header.xloadflags & XLOADFLAGS.XLF_KERNEL_64)) {
    throw new ImageError(
      `Linux setup header: xloadflags ${hex(header.xloadflags)} have no XLF_KERNEL_64: ` +
        "the kernel has no 64-bit entry",
      { remedy: { option: "boot", value: "linux:32" } },
    );
  }
  const placement = new Placement(options.ram, options.reserved);
  const { loadedAt, warnings } = placeKernel(placement, header);
  const entry = bits === 64
    ? longEntry(placement, loadedAt + ENTRY_64, LINUX_SELECTORS)
    : protectedEntry(placement, loadedAt, LINUX_SELECTORS);
  if (!placement.holds(entry.rip)) {
    throw new ImageError(
      `Linux kernel: the 64-bit entry ${hex(entry.rip)} lies past its last byte`,
    );
  }
  const kernel = { ...header, header: headerBytes(header), loadedAt };
  const params = putBootParams(placement, kernel, options);
  const protocol = `linux:${bits}` as const;
  return {
    protocol,
    description: `Linux bzImage, protocol ${versionText(header.version)}, ` +
      `${bits}-bit entry`,
    entry: { ...entry, registers: { rsi: params.gpa } },
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: [...headerFacts(header), ["loaded_at", hex(loadedAt)], ...params.facts],
    warnings,
    unused: unusedOptions(options, ["moduleArguments", "loadAddress", "entry"]),
  };
}
