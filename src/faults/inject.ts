/**
 * Gives the guest an exception in place of a memory fault.
 *
 * @module
 */

import { X86_VECTOR } from "../../ffi/kvm_consts.ts";
import { injectException } from "../kvm/exception.ts";
import { RunResult } from "../kvm/run_result.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { MemoryFault } from "./fault.ts";
import type { CpuState } from "./locate.ts";
import { CR0 } from "../x86/control_registers.ts";

/** No instruction has more MMIO exits than this: REP finishes each element by itself. */
const MAX_PARTS = 16;

/** Page-fault error code bits (SDM volume 3A, 4.7). */
const PF = { present: 1, write: 2, user: 4, fetch: 16 } as const;

/**
 * Gives the guest a page fault (or, without paging, a general-protection fault)
 * at the instruction that faulted. What KVM has begun of that instruction is
 * finished first and then undone, so that it can be restarted by the handler.
 *
 * @param state the registers at the fault
 */
export function injectFault(vcpu: Vcpu, fault: MemoryFault, state: CpuState): void {
  // An instruction may have more parts to finish, such as the write after a read.
  for (let part = 0; part < MAX_PARTS && vcpu.cycle.completePending() === RunResult.exit; part++);
  const { regs, sregs } = state;
  vcpu.setRegs(regs);
  const paging = (sregs.cr0 & CR0.PG) !== 0n;
  if (paging) vcpu.setSregs({ ...sregs, cr2: fault.gva ?? 0n });
  const errorCode = PF.present |
    (fault.access === "write" ? PF.write : 0) |
    (fault.access === "fetch" ? PF.fetch : 0) |
    (sregs.ss.dpl === 3 ? PF.user : 0);
  injectException(vcpu, paging ? X86_VECTOR.PF : X86_VECTOR.GP, paging ? errorCode : 0);
}
