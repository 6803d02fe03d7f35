/**
 * The A20 gate as the keyboard controller and port 0x92 share it. It is only
 * remembered: KVM has no gate, and bit 20 of an address is never masked.
 *
 * @module
 */

/** The gate's state; open from the start, as firmware leaves it. */
export class A20Gate {
  enabled = true;
}
