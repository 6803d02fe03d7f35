/**
 * The other end of a serial port: where its output goes and its input comes from.
 * The backends are in stream_backend.ts and in the command line's console.
 *
 * @module
 */

import type { ByteSink } from "./device.ts";

/** Brings the vCPU's thread out of the guest when there is input to poll. */
export interface InputWatcher {
  /** Watches a descriptor; unwatch it before you close it. */
  watch(fd: number): void;
  unwatch(fd: number): void;
}

/** What a serial port is connected to. Nothing here blocks. */
export interface SerialBackend extends Disposable {
  /** Takes a byte of output; it must be cheap and not throw. */
  readonly write: ByteSink;
  /**
   * Input since the last call. The machine polls it, and soon after input arrives
   * where an {@linkcode InputWatcher} notices.
   */
  poll?(): Uint8Array | undefined;
  /** Sends buffered output. The machine calls it when it polls. */
  flush?(): void;
  /** Called once, before the guest runs, with the watcher for its input. */
  watchInput?(watcher: InputWatcher): void;
  /** Called once, when the guest first asks for input. */
  listening?(): void;
}

/** A port with nothing plugged in. */
export const NULL_BACKEND: SerialBackend = { write: () => {}, [Symbol.dispose]: () => {} };

/** A port with output to a sink, and no input. */
export function sinkBackend(write: ByteSink): SerialBackend {
  return { ...NULL_BACKEND, write };
}
