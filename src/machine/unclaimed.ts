/**
 * Accesses that no device claims: ignored, reported once each, or the end of the run.
 *
 * @module
 */

import { PAGE_BYTES } from "../pages.ts";

/** What is done about I/O and MMIO that no device claims, besides reading all ones. */
export type UnclaimedPolicy = "ignore" | "warn" | "stop";

/** Called for an unclaimed access: to a port, or to a GPA. */
export type UnclaimedListener = (space: "port" | "gpa", address: number) => void;

/** The most warnings, each for another port or page. */
const MAX_WARNINGS = 32;
const PORTS = 0x10000;

/** Decides on accesses that no device claims, without allocating for those known already. */
export class UnclaimedAccesses {
  readonly #knownPorts = new Uint8Array(PORTS);
  readonly #knownPages = new Set<number>();
  #warnings = 0;

  /** @param listener called once for each port and page, under `warn` */
  constructor(readonly policy: UnclaimedPolicy, readonly listener: UnclaimedListener) {}

  /** An access to a port. @returns whether the run is to end */
  port(port: number): boolean {
    if (this.policy !== "warn") return this.policy === "stop";
    if (this.#knownPorts[port] === 0) {
      this.#knownPorts[port] = 1;
      this.#warn("port", port);
    }
    return false;
  }

  /** An access to a GPA. @returns whether the run is to end */
  gpa(gpa: number): boolean {
    if (this.policy !== "warn") return this.policy === "stop";
    const page = gpa - (gpa % PAGE_BYTES);
    if (this.#warnings < MAX_WARNINGS && !this.#knownPages.has(page)) {
      this.#knownPages.add(page);
      this.#warn("gpa", gpa);
    }
    return false;
  }

  #warn(space: "port" | "gpa", address: number): void {
    if (this.#warnings++ < MAX_WARNINGS) this.listener(space, address);
  }
}
