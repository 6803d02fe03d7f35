/**
 * The statistics of a run: exits by reason, port and GPA, and the time spent in
 * the guest and outside.
 *
 * @module
 */

import { PAGE_BYTES } from "../pages.ts";

/** Exit reasons are counted up to this number; KVM has given out less than a fifth of them. */
const REASONS = 256;
const PORTS = 0x10000;
/** A guest that touches more MMIO pages than this has the rest counted together. */
const MAX_GPAS = 4096;

/**
 * Counters of one vCPU's run. Counting by reason always works; the rest costs
 * time for each exit and is done only on request.
 */
export class RunStatistics {
  /** All exits. */
  exits = 0;
  /** Memory faults that were resolved. */
  faultsResolved = 0;
  /** Milliseconds that the first vCPU was inside `KVM_RUN`, where measured. */
  guestMs = 0;
  /** When the guest last came out (`performance.now()`), where measured. */
  leftAt = 0;
  readonly #byReason = new Float64Array(REASONS);
  readonly #byPort: Float64Array | undefined;
  readonly #byPage: Map<number, number> | undefined;
  #enteredAt = 0;

  /** @param detailed whether to count by port and GPA and to measure time */
  constructor(readonly detailed: boolean) {
    if (detailed) {
      this.#byPort = new Float64Array(PORTS);
      this.#byPage = new Map();
    }
  }

  /** The guest is about to run. */
  enter(): void {
    if (this.detailed) this.#enteredAt = performance.now();
  }

  /** The guest came out. */
  leave(): void {
    if (!this.detailed) return;
    this.leftAt = performance.now();
    this.guestMs += this.leftAt - this.#enteredAt;
  }

  /** Another vCPU's guest had come out. Its time there is not measured. */
  arrive(): void {
    if (this.detailed) this.leftAt = performance.now();
  }

  /** An exit with this reason. */
  count(reason: number): void {
    this.exits++;
    this.#byReason[reason & (REASONS - 1)]!++;
  }

  /** The exit was for this port. */
  countPort(port: number): void {
    if (this.#byPort) this.#byPort[port]!++;
  }

  /** The exit was for this GPA. */
  countGpa(gpa: number): void {
    const pages = this.#byPage;
    if (!pages) return;
    const page = gpa - (gpa % PAGE_BYTES);
    const known = pages.get(page);
    if (known !== undefined || pages.size < MAX_GPAS) pages.set(page, (known ?? 0) + 1);
  }

  /** Exits by reason's number, most frequent first. */
  byReason(): [code: number, count: number][] {
    return mostFirst([...this.#byReason.entries()]);
  }

  /** Exits by port, most frequent first. */
  byPort(): [port: number, count: number][] {
    return mostFirst([...this.#byPort?.entries() ?? []]);
  }

  /** MMIO exits by the GPA's page, most frequent first. */
  byPage(): [gpa: number, count: number][] {
    return mostFirst([...this.#byPage?.entries() ?? []]);
  }
}

function mostFirst(entries: [number, number][]): [number, number][] {
  return entries.filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
}
