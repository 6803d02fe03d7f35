/**
 * Boots one guest in every program in turn, and judges the results.
 *
 * @module
 */

import { summarize } from "../pairs.ts";
import { bootOnce, type BootTime } from "./boot_time.ts";
import type { Boot, Expectation, GuestCase } from "./cases.ts";
import { OURS, PEERS, type Program, QEMU_STUCK } from "./programs.ts";

/** How many times longer the peer took than vmexit; a lower bound if it never got there. */
export interface Ratio {
  readonly times: number;
  readonly atLeast: boolean;
}

/** One program's row: milliseconds, and ratios where it is a peer. */
export interface Row {
  readonly program: string;
  readonly firstMs?: number;
  readonly textMs?: number;
  readonly firstRatio?: Ratio;
  readonly textRatio?: Ratio;
  /** Remarks. */
  readonly remark: string;
}

/** A guest's rows, vmexit's first. */
export interface Measurement {
  readonly rows: readonly Row[];
  /** Unmet expectations. */
  readonly failures: readonly string[];
  /** Missed speed targets. */
  readonly misses: readonly string[];
}

/** A peer is killed after this multiple of the time vmexit took, and not before this time. */
const PATIENCE = { times: 2, leastMs: 20_000 } as const;

/** Boots a guest as often as its case says. @param expected how it must end on vmexit */
export async function measureGuest(
  guest: GuestCase,
  boot: Boot,
  expected: Expectation,
): Promise<Measurement> {
  const peers = guest.notInQemu === undefined ? PEERS : [];
  const ours: BootTime[] = [];
  const theirs = peers.map((): BootTime[] => []);
  let patienceMs = 0;
  for (let round = 0; round < guest.rounds; round++) {
    const seen = await run(OURS, guest, boot, expected, guest.limitMs);
    ours.push(seen);
    const wantedMs = Math.max((seen.textMs ?? 0) * PATIENCE.times, PATIENCE.leastMs);
    patienceMs = Math.min(Math.max(patienceMs, wantedMs), guest.limitMs);
    for (const [i, peer] of peers.entries()) {
      theirs[i]!.push(await run(peer, guest, boot, expected, patienceMs));
    }
  }
  const failures = [...new Set(ours.flatMap((seen) => unmet(seen, expected)))];
  const remark = failures.length === 0 ? `${endOf(ours[0]!)}: as expected` : failures.join("; ");
  const rows: Row[] = [{
    program: OURS.name,
    ...medians(ours),
    remark,
  }];
  const misses: string[] = [];
  for (const [i, peer] of peers.entries()) {
    const row = peerRow(peer, ours, theirs[i]!, patienceMs);
    rows.push(row);
    if (guest.goal !== undefined && row.firstRatio && row.firstRatio.times < guest.goal) {
      misses.push(
        `to the first byte only ${row.firstRatio.times.toFixed(2)} times as fast as ` +
          `${peer.name}, not ${guest.goal}`,
      );
    }
  }
  if (guest.notInQemu !== undefined) rows.push({ program: "QEMU", remark: guest.notInQemu });
  return { rows, failures, misses };
}

function run(
  program: Program,
  { memory }: GuestCase,
  boot: Boot,
  { text, code }: Expectation,
  limitMs: number,
): Promise<BootTime> {
  const isOurs = program === OURS;
  return bootOnce(program.path, program.arguments(boot, memory), {
    ...(text === undefined ? {} : { text }),
    endAtText: !isOurs || code === undefined,
    ...(isOurs ? {} : { stuck: QEMU_STUCK }),
    limitMs,
  });
}

/** Unmet expectations. */
export function unmet(seen: BootTime, { text, code, message }: Expectation): string[] {
  return [
    ...(text && seen.textMs === undefined ? [`did not print ${text.source}`] : []),
    ...(code !== undefined && seen.code !== code ? [`${endOf(seen)}, not exit code ${code}`] : []),
    ...(message && !message.test(seen.message) ? [`said: ${seen.message}`] : []),
  ];
}

function endOf({ code, message }: BootTime): string {
  if (code === undefined) return "was ended";
  const instruction = /cannot emulate "([^"]*)"/.exec(message)?.[1];
  return `exit code ${code}${instruction === undefined ? "" : ` at ${instruction}`}`;
}

function peerRow(
  { name }: Program,
  ours: readonly BootTime[],
  theirs: readonly BootTime[],
  limitMs: number,
): Row {
  const firstRatio = ratioOf(ours, theirs, "firstMs", limitMs);
  const textRatio = ratioOf(ours, theirs, "textMs", limitMs);
  const { stuck, code, message, firstMs } = theirs[0]!;
  const remark = stuck
    ? "KVM internal error"
    : firstMs === undefined
    ? code === undefined ? "prints nothing" : refusal(code, message)
    : "";
  return {
    program: name,
    ...medians(theirs),
    ...(firstRatio ? { firstRatio } : {}),
    ...(textRatio ? { textRatio } : {}),
    remark,
  };
}

function refusal(code: number, message: string): string {
  return `exit code ${code}` + (message.includes("warning:") ? "" : `: ${message}`);
}

/** The median over the pairs; `undefined` if vmexit has no time, or the peer was stuck. */
export function ratioOf(
  ours: readonly BootTime[],
  theirs: readonly BootTime[],
  what: "firstMs" | "textMs",
  limitMs: number,
): Ratio | undefined {
  const times = ours.map((seen) => seen[what]);
  if (!times.every((time) => time !== undefined)) return undefined;
  const gaveUp = ({ code, stuck }: BootTime): boolean => code !== undefined || stuck === true;
  if (theirs.some((seen) => seen[what] === undefined && gaveUp(seen))) return undefined;
  const { ratio } = summarize(theirs.map((seen) => seen[what] ?? limitMs), times);
  return { times: ratio.median, atLeast: theirs.some((seen) => seen[what] === undefined) };
}

function medians(seen: readonly BootTime[]): Pick<Row, "firstMs" | "textMs"> {
  const first = seen.flatMap(({ firstMs }) => firstMs ?? []);
  const text = seen.flatMap(({ textMs }) => textMs ?? []);
  return {
    ...(first.length === 0 ? {} : { firstMs: summarize(first, first).ours }),
    ...(text.length === 0 ? {} : { textMs: summarize(text, text).ours }),
  };
}
