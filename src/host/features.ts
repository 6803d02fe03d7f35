/**
 * The features of vmexit that depend on KVM capabilities.
 *
 * @module
 */

import type { Capability } from "../kvm/capability.ts";

/** A feature and the capability that it needs. */
export interface Feature {
  /** Its name: `memory-fault information`. */
  readonly name: string;
  readonly capability: Capability;
  /** `KVM_CHECK_EXTENSION`'s answer, 0 when absent. */
  readonly value: number;
  readonly enabled: boolean;
  /** What it gives, or what happens without it. */
  readonly effect: string;
}

interface Dependence {
  readonly name: string;
  readonly capability: Capability;
  readonly present: string;
  readonly absent: string;
}

const DEPENDENCES: readonly Dependence[] = [
  {
    name: "synchronized registers",
    capability: "SYNC_REGS",
    present: "every exit shows RIP at no cost",
    absent: "exits are shown without RIP",
  },
  {
    name: "immediate exit",
    capability: "IMMEDIATE_EXIT",
    present: "half-done exits can be finished without running the guest",
    absent: "the state after an I/O exit may not be final",
  },
  {
    name: "memory-fault information",
    capability: "MEMORY_FAULT_INFO",
    present: "KVM itself says where a memory fault is",
    absent: "vmexit searches for the GPA of every memory fault",
  },
  {
    name: "guest_memfd",
    capability: "GUEST_MEMFD",
    present: "guests can have memory that only KVM maps",
    absent: "all guest memory is the process's own",
  },
  {
    name: "memory attributes",
    capability: "MEMORY_ATTRIBUTES",
    present: "pages can turn private or shared",
    absent: "all memory is shared: a fault for private memory cannot be resolved",
  },
  {
    name: "user-space MSR exits",
    capability: "X86_USER_SPACE_MSR",
    present: "accesses to MSRs that KVM does not know can be exits",
    absent: "accesses to MSRs that KVM does not know are #GPs, and never exits",
  },
  {
    name: "hypercall exits",
    capability: "EXIT_HYPERCALL",
    present: "a guest's request to convert memory can be an exit",
    absent: "guests cannot ask for memory to be converted",
  },
  {
    name: "emulation-failure exits",
    capability: "EXIT_ON_EMULATION_FAILURE",
    present: "an instruction that KVM cannot emulate can always be an exit",
    absent: "at CPL 3, an instruction that KVM cannot emulate is a #UD in the guest",
  },
  {
    name: "interrupt controllers",
    capability: "IRQCHIP",
    present: "a PC has PIC, IOAPIC and local APIC",
    absent: "there can be no PC, and no second vCPU that runs",
  },
  {
    name: "interval timer",
    capability: "PIT2",
    present: "a PC has a PIT",
    absent: "there can be no PC, and no second vCPU that runs",
  },
  {
    name: "guest debugging",
    capability: "SET_GUEST_DEBUG",
    present: "guests can be single-stepped and stopped at breakpoints",
    absent: "guests cannot be single-stepped or stopped at breakpoints",
  },
];

/**
 * The features that a KVM with these capabilities allows.
 *
 * @param valueOf a capability's value, 0 when it is absent
 *
 * @example
 * ```ts
 * import { featuresOf } from "./features.ts";
 * const none = featuresOf(() => 0);
 * console.log(none.some((feature) => feature.enabled)); // false
 * ```
 */
export function featuresOf(valueOf: (capability: Capability) => number): Feature[] {
  return DEPENDENCES.map(({ name, capability, present, absent }) => {
    const value = valueOf(capability);
    const enabled = value > 0;
    return { name, capability, value, enabled, effect: enabled ? present : absent };
  });
}
