/**
 * The exits of a trace as columns: what the program writes into a page and what
 * the page's own script looks at.
 *
 * @module
 */

/** How the payload of an exit reached what it accessed. */
export interface Access {
  /** `in`, `out`, `read`, `write`, `fetch`; empty where there is no direction. */
  readonly direction: string;
  /** Bytes an item; 0 where it has no size. */
  readonly size: number;
  readonly count: number;
  /** The device that served it; empty where none did. */
  readonly device: string;
}

/** What an exit's address is an address of. */
export type Space = "port" | "gpa" | "msr" | "";

/** An exit reason. */
export interface Reason {
  readonly name: string;
  readonly code: number;
}

/** Exits in ascending order of time, one column each. Index 0 of a table means: none. */
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
  /** Where in `data` the bytes of a row end; those of the row before end where they begin. */
  readonly dataEnd: Uint32Array;
  readonly data: Uint8Array;
  readonly tables: Tables;
}

/** What columns point into. The first entry of each but `reasons` stands for none. */
export interface Tables {
  readonly reasons: readonly Reason[];
  readonly rips: readonly bigint[];
  readonly addresses: readonly bigint[];
  readonly accesses: readonly Access[];
  readonly notes: readonly string[];
}

/** What a guest wrote to its consoles. */
export interface ConsoleOutput {
  readonly bytes: Uint8Array;
  /** For each byte the row that wrote it. */
  readonly row: Uint32Array;
  /** For each byte the device, an index into `devices`. */
  readonly device: Uint8Array;
  readonly devices: readonly string[];
}

/** What the addresses of a reason's exits are. */
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

/** The bytes that an exit wrote or was answered, as far as they were kept. */
export function dataOf(rows: Rows, row: number): Uint8Array {
  return rows.data.subarray(row === 0 ? 0 : rows.dataEnd[row - 1], rows.dataEnd[row]);
}
