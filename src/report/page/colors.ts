/**
 * The colours of exit reasons, from the style sheet.
 *
 * @module
 */

const COLORS: Readonly<Record<string, string>> = {
  IO: "--blue",
  MMIO: "--violet",
  HLT: "--grey",
  MEMORY_FAULT: "--orange",
  X86_RDMSR: "--teal",
  X86_WRMSR: "--green",
  DEBUG: "--yellow",
  IRQ_WINDOW_OPEN: "--cyan",
  HYPERCALL: "--pink",
  INTERNAL_ERROR: "--red",
  FAIL_ENTRY: "--red",
  SHUTDOWN: "--red",
  UNKNOWN: "--red",
};
const OTHERS = ["--cyan", "--pink", "--teal", "--yellow", "--green", "--violet"];

/** The custom property that holds a reason's colour. */
export function reasonColor(reason: string, place: number): string {
  return COLORS[reason] ?? OTHERS[place % OTHERS.length]!;
}
