/**
 * Registers as live views: reading one asks KVM, writing one tells it.
 *
 * @module
 */

/**
 * General registers, RIP and RFLAGS (`struct kvm_regs`).
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "1M" });
 * vm.load(new Uint8Array([0x40, 0xf4]), { protocol: "flat16" }); // inc ax; hlt
 * vm.vcpu.regs.rax = 41n;
 * vm.runSync();
 * console.log(vm.vcpu.regs.rax); // 42n
 * ```
 */
export interface Registers {
  rax: bigint;
  rbx: bigint;
  rcx: bigint;
  rdx: bigint;
  rsi: bigint;
  rdi: bigint;
  rsp: bigint;
  rbp: bigint;
  r8: bigint;
  r9: bigint;
  r10: bigint;
  r11: bigint;
  r12: bigint;
  r13: bigint;
  r14: bigint;
  r15: bigint;
  rip: bigint;
  rflags: bigint;
}

/**
 * A segment register with its hidden part (`struct kvm_segment`; SDM volume 3A, 3.4.3).
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "1M" });
 * vm.load(new Uint8Array([0xf4]), { protocol: "flat32" });
 * console.log(vm.vcpu.sregs.cs.selector, vm.vcpu.sregs.cs.db); // 8 1
 * ```
 */
export interface SegmentRegister {
  base: bigint;
  /** In bytes, whatever the granularity. */
  limit: number;
  selector: number;
  type: number;
  present: number;
  dpl: number;
  db: number;
  s: number;
  l: number;
  g: number;
  avl: number;
  unusable: number;
  padding: number;
}

/**
 * GDTR or IDTR (`struct kvm_dtable`).
 *
 * @example
 * ```ts
 * import type { TableRegister } from "./registers.ts";
 * const empty: TableRegister = { base: 0n, limit: 0, padding: [0, 0, 0] };
 * console.log(empty.limit); // 0
 * ```
 */
export interface TableRegister {
  base: bigint;
  limit: number;
  padding: number[];
}

/**
 * Segment, control and system registers (`struct kvm_sregs`). A segment or table is read
 * as a copy: to change a part of one, write the whole.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "1M" });
 * vm.load(new Uint8Array([0xf4]), { protocol: "flat64" });
 * const { sregs } = vm.vcpu;
 * console.log((sregs.efer & 0x400n) !== 0n); // true: long mode is active
 * sregs.fs = { ...sregs.fs, base: 0x8000n };
 * ```
 */
export interface SystemRegisters {
  cs: SegmentRegister;
  ds: SegmentRegister;
  es: SegmentRegister;
  fs: SegmentRegister;
  gs: SegmentRegister;
  ss: SegmentRegister;
  tr: SegmentRegister;
  ldt: SegmentRegister;
  gdt: TableRegister;
  idt: TableRegister;
  cr0: bigint;
  cr2: bigint;
  cr3: bigint;
  cr4: bigint;
  cr8: bigint;
  efer: bigint;
  apic_base: bigint;
}

/** The names of general registers. */
export const REGISTERS: readonly (keyof Registers)[] = [
  ...["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"] as const,
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"] as const,
];

/** The names of system registers. */
export const SYSTEM_REGISTERS: readonly (keyof SystemRegisters)[] = [
  ...["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt", "gdt", "idt"] as const,
  ...["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base"] as const,
];

/**
 * A view of registers.
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
      get: () => read()[name],
      set: (value: T[typeof name]) => write({ [name]: value } as Partial<T>),
    });
  }
  return view;
}
