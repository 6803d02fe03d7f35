/**
 * Registers by their names, as KVM gives and takes them.
 *
 * @module
 */

/**
 * General registers, RIP and RFLAGS (`struct kvm_regs`).
 *
 * @example
 * ```ts
 * import { Machine } from "../lab/machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0x40, 0xf4]), { protocol: "flat16" }); // inc ax; hlt
 * vm.vcpu.regs.rax = 41n;
 * vm.runSync();
 * console.log(vm.vcpu.regs.rax); // 42n
 * ```
 */
export interface Registers {
  /** RAX. */
  rax: bigint;
  /** RBX. */
  rbx: bigint;
  /** RCX. */
  rcx: bigint;
  /** RDX. */
  rdx: bigint;
  /** RSI. */
  rsi: bigint;
  /** RDI. */
  rdi: bigint;
  /** The stack pointer. */
  rsp: bigint;
  /** RBP. */
  rbp: bigint;
  /** R8. */
  r8: bigint;
  /** R9. */
  r9: bigint;
  /** R10. */
  r10: bigint;
  /** R11. */
  r11: bigint;
  /** R12. */
  r12: bigint;
  /** R13. */
  r13: bigint;
  /** R14. */
  r14: bigint;
  /** R15. */
  r15: bigint;
  /** The instruction pointer. */
  rip: bigint;
  /** The flags. */
  rflags: bigint;
}

/**
 * A segment register with its hidden part (`struct kvm_segment`; SDM volume 3A, 3.4.3).
 *
 * @example
 * ```ts
 * import { Machine } from "../lab/machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xf4]), { protocol: "flat32" });
 * console.log(vm.vcpu.sregs.cs.selector, vm.vcpu.sregs.cs.db); // 8 1
 * ```
 */
export interface SegmentRegister {
  /** The linear address of its start. */
  readonly base: bigint;
  /** In bytes, independent of the granularity. */
  readonly limit: number;
  /** What the guest loaded. */
  readonly selector: number;
  /** The descriptor's type. */
  readonly type: number;
  /** 1: the segment is there. */
  readonly present: number;
  /** The descriptor's privilege level; SS has the CPL. */
  readonly dpl: number;
  /** 1: 32-bit code, or a 32-bit stack pointer. */
  readonly db: number;
  /** 1: code or data, 0: a system segment. */
  readonly s: number;
  /** 1: 64-bit code. */
  readonly l: number;
  /** 1: the descriptor counts its limit in pages. */
  readonly g: number;
  /** Left to system software. */
  readonly avl: number;
  /** 1: nothing was loaded. */
  readonly unusable: number;
  /** Nothing. */
  readonly padding: number;
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
  /** The linear address of the table. */
  readonly base: bigint;
  /** Its last byte's offset. */
  readonly limit: number;
  /** Nothing. */
  readonly padding: number[];
}

/**
 * Segment, control and system registers (`struct kvm_sregs`). A segment or table is read
 * as a copy: to change a part of one, write the whole.
 *
 * @example
 * ```ts
 * import { Machine } from "../lab/machine.ts";
 * using vm = Machine.create({ memory: "2M" });
 * vm.load(new Uint8Array([0xf4]), { protocol: "flat64" });
 * const { sregs } = vm.vcpu;
 * console.log((sregs.efer & 0x400n) !== 0n); // true: long mode is active
 * sregs.fs = { ...sregs.fs, base: 0x8000n };
 * ```
 */
export interface SystemRegisters {
  /** CS. */
  cs: SegmentRegister;
  /** DS. */
  ds: SegmentRegister;
  /** ES. */
  es: SegmentRegister;
  /** FS. */
  fs: SegmentRegister;
  /** GS. */
  gs: SegmentRegister;
  /** SS. */
  ss: SegmentRegister;
  /** The task register. */
  tr: SegmentRegister;
  /** LDTR. */
  ldt: SegmentRegister;
  /** GDTR. */
  gdt: TableRegister;
  /** IDTR. */
  idt: TableRegister;
  /** CR0. */
  cr0: bigint;
  /** CR2: the linear address of the last page fault. */
  cr2: bigint;
  /** CR3: the page tables' root. */
  cr3: bigint;
  /** CR4. */
  cr4: bigint;
  /** CR8: the task priority. */
  cr8: bigint;
  /** The MSR EFER. */
  efer: bigint;
  /** The MSR IA32_APIC_BASE. */
  apic_base: bigint;
  /** The external interrupt that waits to be delivered: a bit for each vector. */
  interrupt_bitmap: bigint[];
}

/**
 * Whether a vCPU is in its reset state: at F000:FFF0 with the base that CS has only until the
 * first far jump (SDM volume 3A, table 10-1). AMD processors' KVM resets a vCPU at a triple fault.
 */
export function isResetState(
  { rip }: Pick<Registers, "rip">,
  { cs }: Pick<SystemRegisters, "cs">,
): boolean {
  return rip === 0xfff0n && cs.base === 0xffff_0000n;
}
