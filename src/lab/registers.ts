/**
 * Registers as live views: reading one asks KVM, writing one tells it.
 *
 * @module
 */

import type { Registers, SystemRegisters } from "../x86/registers.ts";

/** The names of general registers. */
export const REGISTERS: readonly (keyof Registers)[] = [
  ...["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"] as const,
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"] as const,
];

/** The names of system registers. */
export const SYSTEM_REGISTERS: readonly (keyof SystemRegisters)[] = [
  ...["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt", "gdt", "idt"] as const,
  ...["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base", "interrupt_bitmap"] as const,
];

/**
 * A view of registers. Nothing can be added to it, and what has parts is read and written
 * as a whole.
 *
 * @param read gives all of them
 * @param write changes some of them
 */
export function liveView<T extends object>(
  names: readonly (keyof T)[],
  read: () => T,
  write: (changed: Partial<T>) => void,
): T {
  const view = {} as T;
  for (const name of names) {
    Object.defineProperty(view, name, {
      enumerable: true,
      get: () => Object.freeze(read()[name]),
      set: (value: T[typeof name]) => write({ [name]: value } as Partial<T>),
    });
  }
  return Object.seal(view);
}
