/**
 * Port accesses that a vCPU's own thread serves, so that writing text does not
 * take two switches of threads for every byte: what is sent to a serial port or
 * a debug console is posted, that is, noted in shared memory and given to the
 * device as soon as the machine's thread looks, before it serves anything else.
 * A serial port's line status is answered from a copy.
 *
 * All vCPUs share one queue, so that posts keep the order that guests establish
 * between them through memory.
 *
 * @module
 */

import type { Uart16550 } from "../../devices/uart16550.ts";
import type { PortAccess, PortTarget } from "../../kvm/exit_page.ts";

/** How many bytes can wait; a power of two. When the queue is full, a vCPU exits instead. */
const QUEUE = 1 << 14;
/** The words in front of the queue: how many were taken, how many places were given away. */
const TAKEN = 0;
const GIVEN = 16; // a cache line apart
const STATUS = 32;
const HEADER = 64;
/** An entry, which is never 0: the port, the byte, and whether an exit began with it. */
const ENTRY = { valid: 1 << 30, first: 1 << 29, portShift: 8 } as const;
/** A status word: writes must not be posted now, since they would do more than send a byte. */
const CLOSED = -1;

/** The ports that may be served this way; it holds no pointer, so threads can send it. */
export interface PostedPorts {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Serial ports: that of the data and that of the line status. */
  readonly uarts: readonly { readonly data: number; readonly lineStatus: number }[];
  /** Ports whose every byte may be posted. */
  readonly consoles: readonly number[];
}

/** Makes room for posted bytes. */
export function postedPorts(
  uarts: PostedPorts["uarts"],
  consoles: PostedPorts["consoles"],
): PostedPorts {
  const bytes = (HEADER + QUEUE) * Int32Array.BYTES_PER_ELEMENT;
  const words = new Int32Array(new SharedArrayBuffer(bytes));
  words.fill(CLOSED, STATUS, HEADER);
  return { words, uarts, consoles };
}

/** A vCPU thread's end of it: a bus with the ports that may be served there. */
export class PortPoster implements PortTarget<undefined> {
  readonly reader = undefined;
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** By port: where the status is that says whether writes may be posted. */
  readonly #writes = new Map<number, number | undefined>();
  /** By port: where the status is that answers reads. */
  readonly #reads = new Map<number, number>();
  #status: number = CLOSED;
  #place = 0;
  #first = 0;

  constructor({ words, uarts, consoles }: PostedPorts) {
    this.#words = words;
    consoles.forEach((port) => this.#writes.set(port, undefined));
    uarts.forEach(({ data, lineStatus }, i) => {
      this.#writes.set(data, STATUS + i);
      this.#reads.set(lineStatus, STATUS + i);
    });
  }

  /** Serves a port exit if that can be done here. @returns whether it was */
  serve(io: PortAccess): boolean {
    if (io.sizeBytes !== 1) return false;
    return io.isOut ? this.#post(io) : this.#answer(io);
  }

  #answer(io: PortAccess): boolean {
    const at = this.#reads.get(io.port);
    this.#status = at === undefined ? CLOSED : Atomics.load(this.#words, at);
    if (this.#status === CLOSED) return false;
    io.serve(this);
    return true;
  }

  #post(io: PortAccess): boolean {
    const { port, count } = io;
    const words = this.#words;
    if (!this.#writes.has(port)) return false;
    const status = this.#writes.get(port);
    if (status !== undefined && Atomics.load(words, status) === CLOSED) return false;
    let place: number;
    do {
      place = Atomics.load(words, GIVEN);
      if (((place - Atomics.load(words, TAKEN)) | 0) + count > QUEUE) return false;
    } while (Atomics.compareExchange(words, GIVEN, place, (place + count) | 0) !== place);
    this.#place = place;
    this.#first = ENTRY.first;
    io.serve(this);
    return true;
  }

  /** Answers one read of a line status. */
  read(): number {
    return this.#status;
  }

  /** Posts one byte. */
  write(port: number, _sizeBytes: number, byte: number): undefined {
    const at = HEADER + (this.#place++ & (QUEUE - 1));
    Atomics.store(this.#words, at, ENTRY.valid | this.#first | port << ENTRY.portShift | byte);
    this.#first = 0;
  }
}

/** Takes what was posted. @param each called with each byte, and whether an exit began with it */
export function takePosted(
  { words }: PostedPorts,
  each: (port: number, byte: number, first: boolean) => void,
): void {
  for (let taken = words[TAKEN]!; taken !== Atomics.load(words, GIVEN); taken = (taken + 1) | 0) {
    const at = HEADER + (taken & (QUEUE - 1));
    let entry: number;
    do entry = Atomics.load(words, at); while (entry === 0); // its place was given away a moment ago
    Atomics.store(words, at, 0);
    Atomics.store(words, TAKEN, (taken + 1) | 0);
    each((entry >> ENTRY.portShift) & 0xffff, entry & 0xff, (entry & ENTRY.first) !== 0);
  }
}

/** Tells the threads what holds for the serial ports now. */
export function showStatus({ words }: PostedPorts, uarts: readonly Uart16550[]): void {
  uarts.forEach(({ quietStatus }, i) => Atomics.store(words, STATUS + i, quietStatus ?? CLOSED));
}
