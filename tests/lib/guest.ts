/**
 * Guests of a few instructions, on the classes of `src/kvm` alone.
 *
 * @module
 */

import { MAP, mmap, munmap, releaseView, viewMemory } from "../../ffi/memory.ts";
import { decodeExit } from "../../src/exits/decode.ts";
import type { VmExit } from "../../src/exits/exit.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import type { Regs, Vcpu } from "../../src/kvm/vcpu.ts";
import type { Vm } from "../../src/kvm/vm.ts";
import { CR0, CR4, EFER, RFLAGS } from "../../src/x86/control_registers.ts";
import { identityMap } from "../../src/x86/page_tables.ts";
import { flatSegment, realModeSegment } from "../../src/x86/segments.ts";

/** Where the code of a test guest begins. */
export const CODE = 0x1000;
/** Where its stack ends. */
export const STACK_END = 0x1000;
/** Where the page tables of a long-mode guest begin; they take less than 64 KiB. */
const TABLES = 0x1_0000;

/** Instructions as an assembler lists them: `"b0 42  e6 80"`. */
export function code(listing: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(listing.trim().split(/\s+/), (byte) => parseInt(byte, 16));
}

/** How a test guest is to be made. */
export interface GuestOptions {
  /** RAM from GPA 0 on, in bytes. Default 2 MiB. */
  readonly ramBytes?: number;
  /** `KVM_MEM_*` flags of its one slot. Default 0. */
  readonly slotFlags?: number;
  /** PIC, IOAPIC and local APIC in the kernel. Default false. */
  readonly irqchip?: boolean;
}

/** A VM with RAM in slot 0 and a vCPU in its reset state. */
export class TestGuest implements Disposable {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  /** The RAM, from GPA 0 on. */
  readonly ram: Uint8Array<ArrayBuffer>;
  /** Where the RAM is in this process. */
  readonly hva: bigint;
  /** The bytes of the vCPU's `kvm_run`, to look behind what {@linkcode Vcpu.page} tells. */
  readonly area: Uint8Array<ArrayBuffer>;
  readonly #stack: DisposableStack;

  constructor({ ramBytes = 2 << 20, slotFlags = 0, irqchip = false }: GuestOptions = {}) {
    using stack = new DisposableStack();
    this.kvm = stack.use(Kvm.open());
    const hva = mmap(ramBytes, { flags: MAP.PRIVATE | MAP.ANONYMOUS | MAP.NORESERVE });
    const ram = new Uint8Array(viewMemory(hva, ramBytes));
    stack.defer(() => {
      releaseView(ram.buffer);
      munmap(hva, ramBytes);
    });
    this.hva = hva;
    this.ram = ram;
    this.vm = stack.use(this.kvm.createVm());
    this.vm.setIdentityMapAddress(0xfffb_c000n);
    this.vm.setTssAddress(0xfffb_d000);
    this.vm.setUserMemoryRegion({ slot: 0, flags: slotFlags, gpa: 0n, sizeBytes: ramBytes, hva });
    if (irqchip) this.vm.createIrqchip();
    this.vcpu = this.vm.createVcpu(0);
    this.vcpu.setCpuid2(this.kvm.supportedCpuid());
    const { address, sizeBytes } = this.vcpu.place;
    const area = new Uint8Array(viewMemory(address, sizeBytes));
    stack.defer(() => releaseView(area.buffer));
    this.area = area;
    this.#stack = stack.move();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** Puts 16-bit code at {@linkcode CODE} and the vCPU in front of it, in real mode. */
  enterReal(instructions: Uint8Array, regs: Partial<Regs> = {}): void {
    this.ram.set(instructions, CODE);
    const sregs = this.vcpu.sregs();
    sregs.cs = realModeSegment(0, "code");
    for (const name of ["ds", "es", "ss"] as const) sregs[name] = realModeSegment(0);
    this.vcpu.setSregs(sregs);
    this.#start(regs);
  }

  /**
   * Puts 64-bit code at {@linkcode CODE} and the vCPU in front of it, in long mode
   * with every address below 4 GiB mapped to itself. At CPL 3 it has I/O privilege.
   */
  enterLong(instructions: Uint8Array, cpl: 0 | 3, regs: Partial<Regs> = {}): void {
    this.ram.set(instructions, CODE);
    const { cr3, tables } = identityMap({ sizeBytes: 0n, allocate: () => BigInt(TABLES) });
    for (const { gpa, bytes } of tables) this.ram.set(bytes, Number(gpa));
    const sregs = this.vcpu.sregs();
    sregs.cs = flatSegment({ type: "code", bits: 64, selector: 0x28 | cpl, dpl: cpl });
    const data = flatSegment({ type: "data", bits: 64, selector: 0x30 | cpl, dpl: cpl });
    for (const name of ["ds", "es", "ss"] as const) sregs[name] = data;
    sregs.cr0 |= CR0.PE | CR0.PG;
    sregs.cr3 = cr3;
    sregs.cr4 |= CR4.PAE;
    sregs.efer |= EFER.LME | EFER.LMA;
    this.vcpu.setSregs(sregs);
    this.#start({ rflags: cpl === 3 ? RFLAGS.FIXED | RFLAGS.IOPL : RFLAGS.FIXED, ...regs });
  }

  #start(regs: Partial<Regs>): void {
    this.vcpu.setRegs({ rip: BigInt(CODE), rsp: BigInt(STACK_END), rflags: RFLAGS.FIXED, ...regs });
  }

  /** Runs to the next exit. @throws when `KVM_RUN` fails instead */
  run(): VmExit {
    const result = this.vcpu.run();
    if (result !== RunResult.exit) {
      throw new Error(`KVM_RUN gave result ${result}, errno ${this.vcpu.cycle.errno}`);
    }
    return decodeExit(this.vcpu.page);
  }
}
