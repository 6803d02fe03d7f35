/**
 * How outcomes and memory faults look in `console.log`.
 *
 * @module
 */

import type { MemoryFault } from "../faults/fault.ts";
import type { Outcome } from "../machine/outcome.ts";
import { fieldsText, showAs } from "./inspect.ts";
import { REGISTERS } from "./registers.ts";

/** A fault that is shown without the accesses that were examined. */
export function readableFault(fault: MemoryFault): MemoryFault {
  return showAs(fault, (self) => fieldsText("MemoryFault", { ...self, candidates: undefined }));
}

/** An outcome of which, after a memory fault, the general registers are shown. */
export function readableOutcome(outcome: Outcome): Outcome {
  if (outcome.kind === "memory_fault") {
    readableFault(outcome.fault);
    showAs(outcome.state.regs, (self) => fieldsText(REGISTERS.name, self, REGISTERS.layout));
    showAs(outcome.state, ({ regs }) => fieldsText("", { regs }));
  }
  return showAs(outcome, (self) => fieldsText("", self));
}
