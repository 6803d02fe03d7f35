/**
 * Exceptions that the VMM gives to a guest.
 *
 * @module
 */

import type { Vcpu } from "./vcpu.ts";

/** CR0.PE: protected mode. */
const PROTECTED = 1n;

/**
 * Gives the guest an exception at its next instruction (`KVM_SET_VCPU_EVENTS`). In real mode
 * exceptions have no error code (SDM volume 3B, 21.1.4).
 *
 * @param errorCode for vectors that have one
 */
export function injectException(
  vcpu: Pick<Vcpu, "sregs" | "events" | "setEvents">,
  vector: number,
  errorCode: number | undefined,
): void {
  const isProtected = (vcpu.sregs().cr0 & PROTECTED) !== 0n;
  const events = vcpu.events();
  vcpu.setEvents({
    ...events,
    exception: {
      ...events.exception,
      injected: 1,
      nr: vector,
      has_error_code: isProtected && errorCode !== undefined ? 1 : 0,
      error_code: errorCode ?? 0,
    },
  });
}
