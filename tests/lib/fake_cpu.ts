/**
 * Synthetic vCPU states, one for each mode that a guest runs in.
 *
 * @module
 */

import type { CpuState } from "../../src/faults/locate.ts";
import { CR0, CR4, EFER, RFLAGS } from "../../src/x86/control_registers.ts";
import type { Registers, SystemRegisters } from "../../src/x86/registers.ts";
import { flatSegment, realModeSegment } from "../../src/x86/segments.ts";

/** Where the code of a state begins. */
export const CODE = 0x10_0000;
/** The same in real mode. */
export const REAL_CODE = 0x7c00;

const ZERO: Registers = {
  rax: 0n,
  rbx: 0n,
  rcx: 0n,
  rdx: 0n,
  rsi: 0n,
  rdi: 0n,
  rsp: 0n,
  rbp: 0n,
  r8: 0n,
  r9: 0n,
  r10: 0n,
  r11: 0n,
  r12: 0n,
  r13: 0n,
  r14: 0n,
  r15: 0n,
  rip: BigInt(CODE),
  rflags: RFLAGS.FIXED,
};

/** A flat segment's data for every segment register, and tables without entries. */
function sregs(
  cs: SystemRegisters["cs"],
  data: SystemRegisters["ds"],
  more: Partial<SystemRegisters>,
): SystemRegisters {
  const system = { ...data, s: 0, limit: 0xffff };
  return {
    cs,
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    tr: { ...system, type: 11 },
    ldt: { ...system, type: 2 },
    gdt: { base: 0n, limit: 0, padding: [] },
    idt: { base: 0n, limit: 0, padding: [] },
    cr0: 0n,
    cr2: 0n,
    cr3: 0n,
    cr4: 0n,
    cr8: 0n,
    efer: 0n,
    apic_base: 0n,
    interrupt_bitmap: [],
    ...more,
  };
}

/** Real mode: 16-bit code at {@linkcode REAL_CODE}, all segments at 0. */
export function real(
  regs: Partial<Registers> = {},
  more: Partial<SystemRegisters> = {},
): CpuState {
  return {
    regs: { ...ZERO, rip: BigInt(REAL_CODE), ...regs },
    sregs: sregs(realModeSegment(0, "code"), realModeSegment(0), {
      idt: { base: 0n, limit: 0x3ff, padding: [] },
      ...more,
    }),
  };
}

/** Protected mode with flat 32-bit segments, without paging. */
export function protectedMode(
  regs: Partial<Registers> = {},
  more: Partial<SystemRegisters> = {},
): CpuState {
  return {
    regs: { ...ZERO, ...regs },
    sregs: sregs(
      flatSegment({ type: "code", bits: 32, selector: 8 }),
      flatSegment({ type: "data", bits: 32, selector: 16 }),
      { cr0: CR0.PE, ...more },
    ),
  };
}

/** Long mode with 64-bit code; the page tables' root is to be given. */
export function long(
  cr3: bigint,
  regs: Partial<Registers> = {},
  more: Partial<SystemRegisters> = {},
  cpl: 0 | 3 = 0,
): CpuState {
  return {
    regs: { ...ZERO, ...regs },
    sregs: sregs(
      flatSegment({ type: "code", bits: 64, selector: 8 | cpl, dpl: cpl }),
      flatSegment({ type: "data", bits: 64, selector: 16 | cpl, dpl: cpl }),
      {
        cr0: CR0.PE | CR0.PG | CR0.WP,
        cr3,
        cr4: CR4.PAE,
        efer: EFER.LME | EFER.LMA | EFER.NXE,
        ...more,
      },
    ),
  };
}
