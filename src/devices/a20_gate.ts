/**
 * The A20 gate, which the keyboard controller and port 0x92 share. Its state is
 * kept for reads only: KVM has no gate, so address bit 20 is never masked.
 *
 * @module
 */

/** The gate's state; open from the start, as firmware leaves it. */
export class A20Gate {
  enabled = true;
}
