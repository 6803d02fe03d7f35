/**
 * The exits of a trace as columns: the program packs them into the page, whose script reads them.
 *
 * @module
 */

/** How an exit accessed its address. */
export interface AccessRow {
  /** `in`, `out`, `read`, `write`, `fetch`; empty for exits without a direction. */
  readonly direction: string;
  /** Bytes an item; 0 where it has no size. */
  readonly size: number;
  readonly count: number;
  /** The device that served it; empty where none did. */
  readonly device: string;
}

/** What an address refers to. */
export type Space = "port" | "gpa" | "msr" | "";

/** An exit reason. */
export interface Reason {
  readonly name: string;
  readonly code: number;
}

/** Exits ordered by time, a column for each property. Index 0 of a table stands for none. */
export interface Rows {
  readonly length: number;
  /** The exit's number in its run. */
  readonly n: Float64Array;
  /** Tenths of a microsecond since the guest was first entered. */
  readonly time: Float64Array;
  /** 1 and tenths of a microsecond in the guest before; 0 where that was not measured. */
  readonly guest: Float64Array;
  readonly cpu: Uint16Array;
  /** Index into `tables.reasons`. */
  readonly reason: Uint16Array;
  /** Index into `tables.rips`. */
  readonly rip: Uint32Array;
  /** Index into `tables.addresses`. */
  readonly address: Uint32Array;
  /** Index into `tables.accesses`. */
  readonly access: Uint32Array;
  /** Index into `tables.notes`. */
  readonly note: Uint32Array;
  /** Where the bytes of a row end in `data`; they begin where those of the previous row end. */
  readonly dataEnd: Uint32Array;
  readonly data: Uint8Array;
  readonly tables: Tables;
}

/** The tables that columns point into. The first entry of each but `reasons` means none. */
export interface Tables {
  readonly reasons: readonly Reason[];
  readonly rips: readonly bigint[];
  readonly addresses: readonly bigint[];
  readonly accesses: readonly AccessRow[];
  readonly notes: readonly string[];
}

/** A guest's console output. */
export interface ConsoleOutput {
  readonly bytes: Uint8Array;
  /** For each byte the row that wrote it. */
  readonly row: Uint32Array;
  /** For each byte the device, an index into `devices`. */
  readonly device: Uint8Array;
  readonly devices: readonly string[];
}

/** What the addresses of exits with this reason refer to. */
export function spaceOf(reason: string): Space {
  switch (reason) {
    case "IO":
      return "port";
    case "MMIO":
    case "MEMORY_FAULT":
      return "gpa";
    case "X86_RDMSR":
    case "X86_WRMSR":
      return "msr";
    default:
      return "";
  }
}

/** The bytes that an exit wrote or read, as far as they were kept. */
export function dataOf(rows: Rows, row: number): Uint8Array {
  return rows.data.subarray(row === 0 ? 0 : rows.dataEnd[row - 1], rows.dataEnd[row]);
}
