/**
 * How a PC's interrupts are wired: the machine routes GSIs by it, and the ACPI and
 * MP tables describe it.
 *
 * @module
 */

/** The local APICs' address (SDM volume 3, 11.4.1). */
export const LOCAL_APIC_GPA = 0xfee0_0000;
/** The I/O APIC: its address and inputs, and the id and version that KVM gives it. */
export const IO_APIC = { gpa: 0xfec0_0000, pins: 24, id: 0, version: 0x11 } as const;
/** The real-time clock's interrupt. */
export const RTC_IRQ = 8;
/** ACPI's system control interrupt. */
export const SCI_IRQ = 9;
/** How many interrupts the PIC pair has. */
export const ISA_IRQS = 16;
/** The PIC input that cascades the second PIC: no device has it. */
export const PIC_CASCADE = 2;

/** The I/O APIC's input for an ISA interrupt: the timer has another than 0. */
export function ioApicPin(irq: number): number {
  return irq === 0 ? PIC_CASCADE : irq;
}
