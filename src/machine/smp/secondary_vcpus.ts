/**
 * The vCPUs that run on threads of their own, as the run loop of the first one
 * sees them.
 *
 * @module
 */

import { KVM_EXIT } from "../../../ffi/kvm_consts.ts";
import { COM_PORTS, DATA, LINE_STATUS, type Uart16550 } from "../../devices/uart16550.ts";
import type { RunResult } from "../../kvm/run_result.ts";
import { ADDRESS_MAP } from "../address_map.ts";
import { type PostedPorts, postedPorts, showStatus, takePosted } from "./posted_ports.ts";
import { isOver, type OtherVcpus, type RunContext, serve } from "../run_loop.ts";
import { VcpuThreads } from "./vcpu_threads.ts";

/** Devices that do nothing about a byte but to pass it on. */
const CONSOLES = ["debugcon", "debugcon2", "post"];

/** All vCPUs of a machine but the first. */
export class ThreadedVcpus implements OtherVcpus, Disposable {
  readonly #threads: VcpuThreads;
  readonly #contexts: readonly RunContext[];
  readonly #uarts: readonly Uart16550[];
  readonly #posted: PostedPorts | undefined;

  /**
   * Starts their threads.
   *
   * @param contexts what their exits are served with; at least one
   * @param uarts COM1 and those after it
   */
  constructor(contexts: readonly RunContext[], uarts: readonly Uart16550[]) {
    this.#contexts = contexts;
    this.#uarts = uarts;
    this.#posted = isPostingFine(contexts[0]!) ? postedBy(uarts) : undefined;
    this.#threads = new VcpuThreads(contexts.map(({ vcpu }) => vcpu), this.#posted);
  }

  [Symbol.dispose](): void {
    this.#threads[Symbol.dispose]();
  }

  /** Lets them run. */
  resume(): void {
    this.#showStatus();
    this.#threads.resume();
  }

  /** Stops them; what they had posted is done. */
  park(): void {
    this.#threads.park();
    this.#takePosted();
  }

  /** Whether a vCPU, by its id, is in the guest or about to be. */
  isRunning(cpu: number): boolean {
    return this.#threads.isRunning(cpu - 1);
  }

  /** Whether one of them has an exit that was not served yet. */
  get isAsked(): boolean {
    return this.#threads.isAsked;
  }

  serve(): boolean {
    this.#showStatus();
    return this.#threads.serveAll(this.#serveOne);
  }

  left(): void {
    this.#threads.left();
    this.#takePosted();
  }

  wasKicked(): boolean {
    return this.#threads.wasKicked();
  }

  readonly #serveOne = (place: number, result: RunResult): boolean => {
    const context = this.#contexts[place]!;
    this.#takePosted();
    context.statistics.arrive();
    const serveResult = context.control.serve ?? serve;
    if (isOver(context) || !serveResult(context, result)) return false;
    this.#showStatus();
    return true;
  };

  #showStatus(): void {
    if (this.#posted) showStatus(this.#posted, this.#uarts);
  }

  #takePosted(): void {
    if (this.#posted) takePosted(this.#posted, this.#doPosted);
  }

  readonly #doPosted = (port: number, byte: number, first: boolean): void => {
    const { ports, statistics } = this.#contexts[0]!;
    ports.write(port, 1, byte);
    if (!first) return;
    statistics.count(KVM_EXIT.IO);
    statistics.countPort(port);
  };
}

/** Whether nobody minds that an exit was served elsewhere, and a little later. */
function isPostingFine({ control, observer, maxExits }: RunContext): boolean {
  return !control.serve && observer.wanted[KVM_EXIT.IO] === 0 && maxExits === Infinity;
}

function postedBy(uarts: readonly Uart16550[]): PostedPorts {
  return postedPorts(
    COM_PORTS.slice(0, uarts.length).map(({ start }) => ({
      data: start + DATA,
      lineStatus: start + LINE_STATUS,
    })),
    ADDRESS_MAP.filter(({ device }) => CONSOLES.includes(device)).map(({ start }) => start),
  );
}
