/**
 * The other end of a serial port: where its output goes and its input comes from.
 *
 * @module
 */

import type { ByteSink } from "./device.ts";

/** Brings the guest's thread back when there is input, for a call of `poll`. */
export interface InputWatcher {
  /** Watches a descriptor, whose number must not be closed before it is unwatched. */
  watch(fd: number): void;
  unwatch(fd: number): void;
}

/** What a serial port is connected with. Nothing here waits. */
export interface SerialBackend extends Disposable {
  /** Takes a byte of output. Called for every byte: it must be cheap and not throw. */
  readonly write: ByteSink;
  /**
   * Input that has arrived since the last call. Called from time to time, and soon
   * after something arrives where {@linkcode InputWatcher} can tell.
   */
  poll?(): Uint8Array | undefined;
  /** Sends on what output was kept back. Called from time to time. */
  flush?(): void;
  /** Called once, before the guest runs, with who is to watch for input. */
  watchInput?(watcher: InputWatcher): void;
  /** Called once, when the guest turns out to want input. */
  listening?(): void;
}

/** A port with nothing plugged in. */
export const NULL_BACKEND: SerialBackend = { write: () => {}, [Symbol.dispose]: () => {} };

/** A port whose output goes to a sink, and that has no input. */
export function sinkBackend(write: ByteSink): SerialBackend {
  return { ...NULL_BACKEND, write };
}
