/**
 * The processor states in which guests start: the tables and registers of each.
 * Loaders plan a state; {@linkcode enter} carries the whole plan out.
 *
 * @module
 */

import type { Vcpu } from "../kvm/vcpu.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { PAGE_BYTES } from "../pages.ts";
import { CR0, CR4, EFER } from "../x86/control_registers.ts";
import { identityMap } from "../x86/page_tables.ts";
import { encodeGdt, flatSegment, realModeSegment } from "../x86/segments.ts";
import {
  BARE_PROTOCOLS,
  type BootPlan,
  type EntryState,
  type Placement,
  type Segment,
} from "./plan.ts";

/** The selectors for CS and for the other segment registers. */
export type Selectors = EntryState["selectors"];

/** For guests whose protocol names none. */
const SELECTORS: Selectors = { code: 0x08, data: 0x10 };
/** The top of the stack in protected and long mode. */
const STACK_END = 0x10_0000;
/** Where the PC's low megabyte ends. */
const LOW_MEMORY_END = 0x10_0000n;
/** RFLAGS with only bit 1 set, which always is (SDM volume 1, 3.4.3). */
const RFLAGS_RESET = 2n;

function flatSegments(bits: 32 | 64, { code, data }: Selectors) {
  return {
    code: flatSegment({ type: "code", bits, selector: code }),
    data: flatSegment({ type: "data", bits, selector: data }),
  };
}

function putGdt(
  placement: Placement,
  bits: 32 | 64,
  selectors: Selectors,
): { base: bigint; limit: number } {
  const { code, data } = flatSegments(bits, selectors);
  const bytes = encodeGdt([code, data]);
  return { base: placement.putTable("GDT", bytes), limit: bytes.length - 1 };
}

function stackEnd(placement: Placement): bigint {
  return BigInt(Math.min(STACK_END, placement.ram[0]!.sizeBytes));
}

/**
 * Real mode.
 *
 * @param rip relative to the code segment, as `rsp` is to the data segment
 */
export function realEntry(
  rip: bigint,
  rsp: bigint,
  selectors: Selectors = { code: 0, data: 0 },
): EntryState {
  return { mode: "real", rip, rsp, selectors };
}

/** Protected mode without paging, with flat 4 GiB segments. Puts the GDT into memory. */
export function protectedEntry(
  placement: Placement,
  rip: bigint,
  selectors = SELECTORS,
): EntryState {
  const gdt = putGdt(placement, 32, selectors);
  return { mode: "protected", rip, rsp: stackEnd(placement), selectors, gdt };
}

/**
 * Long mode at CPL 0. Puts the GDT into memory, and page tables that identity-map all
 * RAM and at least the first 4 GiB, writable and user-accessible.
 */
export function longEntry(
  placement: Placement,
  rip: bigint,
  selectors = SELECTORS,
): EntryState {
  const last = placement.ram.at(-1)!;
  const { cr3, tables } = identityMap({
    sizeBytes: BigInt(last.gpa) + BigInt(last.sizeBytes),
    allocate: (pages) => placement.findPages("page tables", pages * PAGE_BYTES),
  });
  for (const { gpa, bytes } of tables) placement.put("page tables", gpa, bytes);
  const gdt = putGdt(placement, 64, selectors);
  return { mode: "long", rip, rsp: stackEnd(placement), selectors, gdt, cr3 };
}

/** Writes a plan into guest memory and sets the processor up to start it. */
export function enter(plan: BootPlan, memory: GuestMemory, vcpu: Vcpu): void {
  // First an image's zeros, over the firmware's data, then all bytes, which stay.
  for (const segment of plan.segments) clearLowZeros(segment, memory);
  for (const { gpa, bytes } of plan.segments) memory.write(gpa, bytes);
  const { mode, rip, rsp, registers, selectors, gdt, cr3 } = plan.entry;
  const sregs = vcpu.sregs();
  if (mode === "real") {
    const data = realModeSegment(selectors.data);
    sregs.cs = realModeSegment(selectors.code, "code");
    for (const name of ["ds", "es", "fs", "gs", "ss"] as const) sregs[name] = data;
  } else {
    const { code, data } = flatSegments(mode === "long" ? 64 : 32, selectors);
    sregs.cs = code;
    for (const name of ["ds", "es", "fs", "gs", "ss"] as const) sregs[name] = data;
    sregs.gdt = { base: gdt!.base, limit: gdt!.limit, padding: [0, 0, 0] };
    sregs.cr0 |= CR0.PE;
  }
  // Firmware turns the caches on, and kernels expect them so.
  if (!BARE_PROTOCOLS.includes(plan.protocol)) sregs.cr0 &= ~(CR0.CD | CR0.NW);
  if (mode === "long") {
    sregs.cr0 |= CR0.PG;
    sregs.cr3 = cr3!;
    sregs.cr4 |= CR4.PAE;
    sregs.efer |= EFER.LME | EFER.LMA;
  }
  vcpu.setSregs(sregs);
  vcpu.setRegs({ ...registers, rip, rsp, rflags: RFLAGS_RESET });
}

/** Clears the zeros of a segment in the low megabyte, which firmware uses before the image. */
function clearLowZeros({ gpa, bytes, sizeBytes }: Segment, memory: GuestMemory): void {
  const start = gpa + BigInt(bytes.length);
  const end = gpa + BigInt(sizeBytes);
  const size = Number((end < LOW_MEMORY_END ? end : LOW_MEMORY_END) - start);
  if (size > 0) memory.write(start, new Uint8Array(size));
}
