/**
 * The names of KVM's capabilities.
 *
 * @module
 */

import type { KVM_CAP } from "../../ffi/kvm_caps.ts";

/** The name of a capability without its prefix: `"IRQCHIP"` for `KVM_CAP_IRQCHIP`. */
export type Capability = keyof typeof KVM_CAP;
