/**
 * Linux kernels by their real-mode entry: zImage, old kernels, and other programs
 * that use this format to be loadable (Linux Documentation/arch/x86/boot.rst,
 * "Memory Layout of The Real-Mode Code").
 *
 * @module
 */

import { hex } from "../hex.ts";
import { BIOS_GPA } from "../firmware/bios.ts";
import { isRam } from "../memory/ram.ts";
import { realEntry } from "./entry.ts";
import { ImageError } from "./image.ts";
import {
  headerFacts,
  type LinuxHeader,
  LOADFLAGS,
  versionText,
  writeHeader,
} from "./linux_header.ts";
import { placeKernel } from "./linux_kernel.ts";
import { handOver, linuxCommandLine } from "./linux_params.ts";
import { type BootOptions, type BootPlan, mapFact, Placement, unusedOptions } from "./plan.ts";

/** Where the real-mode code goes, and the offset at which its heap ends and the command line
 * begins. */
interface Layout {
  readonly base: number;
  readonly heapEnd: number;
}
/** For bzImages since protocol 2.02, which may go anywhere in low memory. */
const MODERN: Layout = { base: 0x1_0000, heapEnd: 0xe000 };
/** For all others: nothing above 0x9a000 may be used. */
const TRADITIONAL: Layout = { base: 0x9_0000, heapEnd: 0x9800 };
const TRADITIONAL_END = 0x9_a000;
const FIRST_MODERN = 0x202;
/** Where a zImage is loaded, up to the real-mode code. */
const LOW_LOAD = 0x1_0000n;
/** The command line of protocols before 2.02. */
const OLD_COMMAND_LINE = { magicAt: 0x20, magic: 0xa33f, offsetAt: 0x22 } as const;
/** The end of the BIOS. */
const HIGH_MEMORY = 0x10_0000;
/** The entry's offset in the real-mode code. */
const ENTRY = 0x200;

/**
 * Plans the boot of a kernel by its own real-mode code.
 *
 * @throws {ImageError}
 */
export function planRealMode(header: LinuxHeader, options: BootOptions): BootPlan {
  const { version, loadedHigh } = header;
  const modern = loadedHigh && version >= FIRST_MODERN;
  const { base, heapEnd } = modern ? MODERN : TRADITIONAL;
  const placement = new Placement(options.ram, options.reserved);
  const map = placement.memoryMap();
  if (!isRam(options.ram, BigInt(BIOS_GPA), HIGH_MEMORY - BIOS_GPA)) {
    throw new ImageError("there is no RAM for the BIOS that the kernel's real-mode code calls", {
      remedy: "memory",
    });
  }
  const { loadedAt, warnings } = loadedHigh
    ? placeKernel(placement, header)
    : placeLow(placement, header);

  const commandLine = linuxCommandLine(options, header);
  const commandLineAt = base + heapEnd;
  if (!modern && commandLineAt + commandLine.length > TRADITIONAL_END) {
    throw new ImageError(
      `the command line has ${commandLine.length - 1} bytes; at most ` +
        `${TRADITIONAL_END - commandLineAt - 1} fit where protocol ${versionText(version)} puts it`,
      { remedy: "commandLine" },
    );
  }
  const { values, facts } = handOver(placement, header, options, BigInt(commandLineAt));
  const setup = header.setup.slice();
  writeHeader(setup, version, {
    ...values,
    heap_end_ptr: heapEnd - ENTRY,
    ...(version > 0x200 ? { loadflags: setup[0x211]! | LOADFLAGS.CAN_USE_HEAP } : {}),
    ...(header.relocatable ? { code32_start: loadedAt } : {}),
  });
  if (version < FIRST_MODERN) {
    const view = new DataView(setup.buffer);
    view.setUint16(OLD_COMMAND_LINE.magicAt, OLD_COMMAND_LINE.magic, true);
    view.setUint16(OLD_COMMAND_LINE.offsetAt, heapEnd, true);
    writeHeader(setup, version, { setup_move_size: heapEnd + commandLine.length });
  }
  placement.put("Linux real-mode code", BigInt(base), setup, heapEnd);
  placement.put("command line", BigInt(commandLineAt), commandLine);

  const segment = base >> 4;
  const selectors = { code: segment + (ENTRY >> 4), data: segment };
  return {
    protocol: "linux:16",
    description: `Linux ${loadedHigh ? "bzImage" : "zImage"}, protocol ${versionText(version)}, ` +
      "16-bit entry",
    entry: realEntry(0n, BigInt(heapEnd), selectors),
    segments: placement.segments,
    memoryMap: placement.memoryMap(),
    facts: [
      ...headerFacts(header),
      ["loaded_at", hex(loadedAt), "the protected-mode code"],
      ["real_mode_at", hex(base), "the real-mode code"],
      ...facts,
      mapFact("e820", map),
    ],
    warnings,
    unused: unusedOptions(options, ["moduleArguments", "loadAddress", "entry"]),
  };
}

/** Puts the protected-mode code of a zImage below the real-mode code. */
function placeLow(
  placement: Placement,
  { kernel }: LinuxHeader,
): { readonly loadedAt: bigint; readonly warnings: string[] } {
  const room = TRADITIONAL.base - Number(LOW_LOAD);
  if (kernel.length > room) {
    throw new ImageError(
      `Linux setup header: loadflags say zImage, but ${hex(kernel.length)} bytes of ` +
        `protected-mode code do not fit into ${hex(room)} bytes of low memory`,
    );
  }
  placement.put("Linux kernel", LOW_LOAD, kernel);
  return { loadedAt: LOW_LOAD, warnings: [] };
}
