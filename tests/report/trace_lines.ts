/**
 * Traces made by hand, as `vmexit run --format json` writes them.
 *
 * @module
 */

import { prepare, type Prepared } from "../../src/report/aggregate.ts";
import { regionsOf } from "../../src/report/regions.ts";
import { readTrace, type Trace } from "../../src/report/trace.ts";
import { exitRecord, HALT } from "../lib/trace_records.ts";

/** A record, with usual values by default. */
export type Fields = Record<string, unknown>;

/** A guest of 5 GiB with a hole of each sort that the map shows differently. */
export const BEGIN: Fields = {
  type: "begin",
  v: 1,
  version: "0.1.0",
  image: "images/x.elf",
  boot: "elf",
  machine: "bare",
  cpus: 1,
  memory: "0x140000000",
  slots: [
    { id: 0, gpa: "0x0", size: "0xc0000000", kind: "ram" },
    { id: 1, gpa: "0x100000000", size: "0x80000000", kind: "ram" },
  ],
  holes: [{ gpa: "0x300000", size: "0x1000", kind: "lazy" }],
  loaded: [{ name: "<b>", gpa: "0x100000", size: "0x22" }],
};

/** The record of a run that ended well. */
export const OUTCOME: Fields = { ...HALT, t_us: 100, guest_us: 25 };

/** An exit that halts, but for what is given. */
export function exit(fields: Fields): Fields {
  return exitRecord(fields);
}

/** An OUT of bytes to a port, served by `uart0` by default. */
export function out(n: number, tUs: number, port: number, data: string, device = "uart0"): Fields {
  const io = { direction: "out", port, size: 1, count: data.length / 2, data, device };
  return exit({ n, t_us: tUs, reason: "IO", code: 2, rip: "0x1000", io });
}

/** An MMIO read of four bytes. */
export function mmio(n: number, tUs: number, gpa: string): Fields {
  const access = { direction: "read", gpa, size: 4, data: "ffffffff" };
  return exit({ n, t_us: tUs, reason: "MMIO", code: 6, rip: "0xffffffff81000000", mmio: access });
}

/** A text as a stream whose pieces end in the midst of lines and characters. */
export async function* streamOf(text: string): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += 7) {
    yield await Promise.resolve(bytes.subarray(at, at + 7));
  }
}

/** Reads records as a trace. */
export function traceOf(...records: Fields[]): Promise<Trace> {
  return readTrace(streamOf(records.map((record) => JSON.stringify(record) + "\n").join("")));
}

/** Reads records and makes them ready to be counted. */
export async function preparedOf(...records: Fields[]): Promise<Prepared> {
  const { rows, begin } = await traceOf(...records);
  return prepare(rows, regionsOf(begin, rows));
}
