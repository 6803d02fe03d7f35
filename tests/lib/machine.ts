/**
 * Machines that boot the guests of `images/` and keep what they print.
 *
 * @module
 */

import { planBoot } from "../../src/boot/detect.ts";
import type { BootOptions, BootProtocol } from "../../src/boot/plan.ts";
import type { VmExit } from "../../src/exits/exit.ts";
import { VirtualMachine, type VirtualMachineOptions } from "../../src/machine/machine.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import type { ExitObserver } from "../../src/machine/run_context.ts";
import { imageFile } from "./images.ts";

/** Guests that end by themselves get this much time: far more than they need. */
export const GENEROUS_MS = 20_000;

/** The options of a test machine: 16 MiB by default. */
export type TestMachineOptions =
  & Partial<VirtualMachineOptions>
  & Omit<BootOptions, "ram">
  & { readonly protocol?: BootProtocol };

/** An observer of everything. */
export function observer(
  exit: ExitObserver["exit"],
  fault: ExitObserver["fault"] = () => {},
): ExitObserver {
  return { wanted: new Uint8Array(256).fill(1), exit, fault };
}

/** A machine with an image booted on it. */
export class TestMachine implements Disposable {
  readonly machine: VirtualMachine;
  readonly #output: number[] = [];

  /** @param image a file of `images/`, or an image's bytes, which need a `protocol` */
  constructor(image: string | Uint8Array, options: TestMachineOptions = {}) {
    const name = typeof image === "string" ? image : "";
    const bytes = typeof image === "string" ? imageFile(image) : image;
    const machine = new VirtualMachine({
      memoryBytes: 16 << 20,
      output: (byte) => this.#output.push(byte),
      ...options,
    });
    this.machine = machine;
    try {
      const ram = machine.memory.ranges;
      machine.boot(planBoot(bytes, name, options.protocol ?? "auto", { ...options, ram }));
    } catch (error) {
      machine[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }

  /** Runs to the end. @throws when there is none in good time */
  async run(): Promise<Outcome> {
    const deadline = performance.now() + GENEROUS_MS;
    while (performance.now() < deadline) {
      const outcome = this.machine.runFor(deadline - performance.now());
      if (outcome) return outcome;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    throw new Error(`the guest did not end; it printed ${JSON.stringify(this.output)}`);
  }

  /** What the guest has printed so far. */
  get output(): string {
    return String.fromCharCode(...this.#output);
  }
}

/** What {@linkcode traced} saw. */
export interface Trace {
  readonly outcome: Outcome;
  /** Copies of the exits. */
  readonly exits: readonly VmExit[];
  /** Who served them. */
  readonly handlers: readonly (string | undefined)[];
  readonly output: string;
}

/** Runs an image to its end and keeps what there was to see. */
export async function traced(
  image: string | Uint8Array,
  options: TestMachineOptions = {},
): Promise<Trace> {
  const exits: VmExit[] = [];
  const handlers: (string | undefined)[] = [];
  using test = new TestMachine(image, {
    ...options,
    observer: observer((exit, _cpu, handler) => {
      exits.push(structuredClone(exit));
      handlers.push(handler);
    }),
  });
  const outcome = await test.run();
  return { outcome, exits, handlers, output: test.output };
}
