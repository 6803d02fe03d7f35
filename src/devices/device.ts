/**
 * The interface between devices and the buses, and what else a device drives:
 * output, interrupt lines, the machine itself.
 *
 * @module
 */

/** A half-open range of ports or of guest physical addresses: `[start, start + size)`. */
export interface BusRange {
  readonly start: number;
  readonly size: number;
}

/**
 * A device on a bus. Offsets count from the range's start; values are unsigned
 * numbers of `sizeBytes` bytes. A device never throws for what a guest does.
 */
export interface Device {
  /** What the trace calls it: `uart0`. */
  readonly name: string;
  /**
   * The widest access that the device understands, in bytes. The bus splits wider
   * ones, and those that cross the end of its range, into bytes.
   */
  readonly accessBytes: 1 | 2 | 4;
  /** The guest reads. */
  read(offset: number, sizeBytes: number): number;
  /** The guest writes. */
  write(offset: number, sizeBytes: number, value: number): void;
}

/** Takes a device's output, byte by byte: it must be cheap and not throw. */
export type ByteSink = (byte: number) => void;

/** An interrupt line: a device calls it with the level, at least when that changes. */
export type IrqSink = (level: boolean) => void;

/** What a device can do to the whole machine. */
export type MachineEvent =
  | { readonly kind: "power_off" }
  | { readonly kind: "reset" }
  | { readonly kind: "panic" };

/** Takes such events. */
export type MachineEventSink = (event: MachineEvent) => void;
