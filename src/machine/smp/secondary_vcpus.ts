/**
 * The vCPUs that run on their own threads, as the run loop of the first one sees them:
 * their exits come to the loop, except the bytes that their threads posted.
 *
 * @module
 */

import { KVM_EXIT } from "../../../ffi/kvm_consts.ts";
import { COM_PORTS, DATA, LINE_STATUS, type Uart16550 } from "../../devices/uart16550.ts";
import { ADDRESS_MAP } from "../address_map.ts";
import type { RunContext, Secondaries } from "../run_context.ts";
import { type PostedPorts, postedPorts, showStatus, takePosted } from "./posted_ports.ts";
import { VcpuThreads } from "./vcpu_threads.ts";

/** Devices that only pass a byte on. */
const CONSOLES = ["debugcon", "debugcon2", "post"];

/** All vCPUs of a machine but the first. */
export class SecondaryVcpus implements Secondaries, Disposable {
  readonly #threads: VcpuThreads;
  readonly #contexts: readonly RunContext[];
  readonly #uarts: readonly Uart16550[];
  readonly #posted: PostedPorts | undefined;

  /**
   * Starts their threads.
   *
   * @param contexts what their exits are served with, from vCPU 1 on; at least one
   * @param uarts COM1 and those after it
   * @param mayPost whether exits may be served elsewhere, and a little later
   */
  constructor(contexts: readonly RunContext[], uarts: readonly Uart16550[], mayPost: boolean) {
    this.#contexts = contexts;
    this.#uarts = uarts;
    this.#posted = mayPost ? postedBy(uarts) : undefined;
    this.#threads = new VcpuThreads(contexts.map(({ vcpu }) => vcpu), this.#posted);
  }

  [Symbol.dispose](): void {
    this.#threads[Symbol.dispose]();
  }

  /** Lets them all run. */
  start(): void {
    this.#showStatus();
    this.#threads.resume();
  }

  /** Stops them all; what they had posted is done. */
  park(): void {
    this.#threads.park();
    this.#takePosted();
  }

  next(): RunContext | undefined {
    this.#showStatus();
    const vcpu = this.#threads.next();
    if (!vcpu) return undefined;
    this.#takePosted();
    const context = this.#contexts[vcpu.id - 1]!;
    context.statistics.arrive();
    return context;
  }

  resume({ vcpu }: RunContext): void {
    this.#showStatus();
    this.#threads.resumeOne(vcpu);
  }

  firstCameOut(): void {
    this.#threads.firstCameOut();
    this.#takePosted();
  }

  wasKicked(): boolean {
    return this.#threads.wasKicked();
  }

  #showStatus(): void {
    if (this.#posted) showStatus(this.#posted, this.#uarts);
  }

  #takePosted(): void {
    if (this.#posted) takePosted(this.#posted, this.#write);
  }

  readonly #write = (port: number, byte: number, first: boolean): void => {
    const { ports, statistics } = this.#contexts[0]!;
    ports.write(port, 1, byte);
    if (!first) return;
    statistics.count(KVM_EXIT.IO);
    statistics.countPort(port);
  };
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
