/**
 * Writes the trace of a run: exits as they happen, warnings, the summary. The run loop calls it,
 * text.ts and json.ts word what it writes.
 *
 * @module
 */

import type { VmExit } from "../exits/exit.ts";
import type { Outcome } from "../machine/outcome.ts";
import type { ExitObserver } from "../machine/run_context.ts";
import type { RunStatistics } from "../machine/statistics.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { Moment, RunStart } from "./events.ts";
import { beginJson, exitJson, faultJson, outcomeJson, warningJson } from "./json.ts";
import type { OutputBuffer } from "./output_buffer.ts";
import type { TraceMask } from "./spec.ts";
import {
  COLOR,
  exitText,
  faultLine,
  outcomeText,
  PLAIN,
  summaryText,
  unresolvedText,
} from "./text.ts";

/** How a trace looks. */
export interface TraceStyle {
  readonly format: "text" | "json";
  /** Which exits to show. */
  readonly wanted: TraceMask;
  /** Whether to end with a summary. */
  readonly summary: boolean;
  /** Whether to dump registers and accesses at an unresolved memory fault. JSON always has them. */
  readonly verbose: boolean;
  /** Colour, in text. */
  readonly color: boolean;
  /** The words for an outcome. Default: those of `describeOutcome`. */
  readonly describe?: (outcome: Outcome) => string;
}

/** Exits that are flushed at once, for a reader that waits for them. */
const UNUSUAL = new Set<VmExit["reason"]>([
  "MEMORY_FAULT",
  "INTERNAL_ERROR",
  "FAIL_ENTRY",
  "SHUTDOWN",
  "UNKNOWN",
  "UNRECOGNIZED",
  "SYSTEM_EVENT",
]);

/** The observer that writes what it sees. */
export class Tracer implements ExitObserver {
  readonly wanted: TraceMask;
  readonly #palette;
  #statistics: RunStatistics | undefined;
  #startedAt = 0;
  #guestMs = 0;

  constructor(readonly out: OutputBuffer, readonly style: TraceStyle) {
    this.wanted = style.wanted;
    this.#palette = style.color ? COLOR : PLAIN;
  }

  /** The machine is set up: JSON says what it is, unless only the outcome is wanted. */
  announce(start: RunStart): void {
    const { format, summary } = this.style;
    if (format === "json" && summary) this.out.text(beginJson(start));
  }

  /** The guest is about to run for the first time. @param statistics where exits are counted */
  begin(statistics: RunStatistics): void {
    this.#statistics = statistics;
    this.#startedAt = performance.now();
  }

  exit(exit: VmExit, cpu: number, handler: string | undefined): void {
    const record = { ...this.#moment(cpu), exit, handler };
    this.out.text(
      this.style.format === "json" ? exitJson(record) : exitText(record, this.#palette),
    );
    if (UNUSUAL.has(exit.reason)) this.out.flush();
  }

  fault(fault: MemoryFault, cpu: number, verdict: string): void {
    const record = { ...this.#moment(cpu), fault, verdict };
    this.out.text(
      this.style.format === "json" ? faultJson(record) : faultLine(record, this.#palette),
    );
  }

  #moment(cpu: number): Moment {
    const { exits: n, leftAt, guestMs } = this.#statistics!;
    // Only the first vCPU's time in the guest is measured.
    if (cpu > 0) return { n, tUs: (leftAt - this.#startedAt) * 1000, cpu, guestUs: undefined };
    const guestUs = (guestMs - this.#guestMs) * 1000;
    this.#guestMs = guestMs;
    return { n, tUs: (leftAt - this.#startedAt) * 1000, cpu, guestUs };
  }

  /** Writes a warning on its own line. */
  warn(message: string): void {
    this.out.text(
      this.style.format === "json" ? warningJson(message) : `vmexit: warning: ${message}\n`,
    );
  }

  /** The run has ended: writes the summary and the outcome. */
  end(outcome: Outcome): void {
    const statistics = this.#statistics!;
    const record = { outcome, statistics, tUs: (performance.now() - this.#startedAt) * 1000 };
    const message = this.style.describe?.(outcome);
    if (this.style.format === "json") {
      this.out.text(outcomeJson(record, message));
    } else {
      if (this.style.summary) this.out.text(summaryText(record));
      // Without an address, the accesses that were examined are the answer.
      if (outcome.kind === "memory_fault") {
        const { verbose } = this.style;
        if (verbose || outcome.fault.gpa === undefined) this.out.text(unresolvedText(outcome));
      }
      this.out.text(outcomeText(outcome, message));
    }
    this.out.flush();
  }
}
