/**
 * The halt that never ends: on a machine with interrupt controllers in the
 * kernel, HLT does not exit, and a vCPU that halts with interrupts off stays in
 * `KVM_RUN`. Such a vCPU is dead, unless an NMI, an SMI or the like can still
 * wake it.
 *
 * @module
 */

import { KVM_IRQCHIP, KVM_MP_STATE } from "../../ffi/kvm_consts.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";
import { RFLAGS } from "../x86/control_registers.ts";

/** Local APIC registers (SDM volume 3, table 11-1): performance counters, LINT0. */
const LOCAL_VECTORS = [0x340, 0x350] as const;
/** The I/O APIC's redirection entries in `struct kvm_ioapic_state`. */
const REDIRECTION = { start: 24, count: 24, bytes: 8 } as const;
/** In both: the input is off; how its interrupt is delivered; as an ordinary one. */
const MASKED = 1 << 16;
const delivery = (word: number): number => (word >> 8) & 7;
const FIXED = 0;
const LOWEST_PRIORITY = 1;
const EXTERNAL = 7;

/**
 * Whether a vCPU that is not running now has halted for good, as far as it
 * depends on no other: one that waits for a start-up interrupt counts, too. It
 * takes a few ioctls only where the vCPU has halted with interrupts off.
 *
 * @param vm the vCPU's VM, with in-kernel interrupt controllers
 */
export function isDeadHalt(vm: Vm, vcpu: Vcpu): boolean {
  const state = vcpu.mpState();
  if (state === KVM_MP_STATE.UNINITIALIZED || state === KVM_MP_STATE.INIT_RECEIVED) return true;
  if (state !== KVM_MP_STATE.HALTED) return false;
  if (vcpu.regs().rflags & RFLAGS.IF) return false;
  return !isEventPending(vcpu) && !canBeWoken(vm, vcpu);
}

function isEventPending(vcpu: Vcpu): boolean {
  const { exception, interrupt, nmi, smi, triple_fault } = vcpu.events();
  return (exception.injected | exception.pending | interrupt.injected | nmi.injected |
    nmi.pending | smi.pending | smi.latched_init | triple_fault.pending) !== 0;
}

/** Whether an input is open that delivers an NMI, an SMI or an INIT. */
function canBeWoken(vm: Vm, vcpu: Vcpu): boolean {
  const local = viewOf(vcpu.lapic());
  if (LOCAL_VECTORS.some((register) => isOpen(local.getUint32(register, true)))) return true;
  const { start, count, bytes } = REDIRECTION;
  const ioApic = viewOf(vm.irqchip(KVM_IRQCHIP.IOAPIC));
  for (let pin = 0; pin < count; pin++) {
    if (isOpen(ioApic.getUint32(start + pin * bytes, true))) return true;
  }
  return false;
}

function isOpen(word: number): boolean {
  return !(word & MASKED) && ![FIXED, LOWEST_PRIORITY, EXTERNAL].includes(delivery(word));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
