/**
 * `struct kvm_run`: the page on which KVM says why a vCPU came out of the guest, and
 * on which the VMM replies. Every offset into it is known here and nowhere else:
 * code that serves an exit reads and replies by name.
 *
 * @module
 */

import { KVM_EXIT, KVM_EXIT_IO } from "../../ffi/kvm_consts.ts";
import {
  KVM_RUN_EXIT_OFFSET,
  KVM_RUN_EXIT_SIZE,
  KVM_RUN_HYPERCALL,
  KVM_RUN_IO,
  KVM_RUN_MMIO,
  KVM_RUN_MSR,
  KVM_RUN_REGS_OFFSET,
  KVM_RUN_STRUCT,
  KVM_SYNC_X86_REGS,
} from "../../ffi/kvm_run.ts";
import { decode, type Layout, type StructOf } from "../../ffi/layout.ts";
import { releaseView } from "../../ffi/memory.ts";
import { KVM_REGS } from "../../ffi/vcpu_structs.ts";

const HEAD = KVM_RUN_STRUCT.fields;
const EXIT_REASON = HEAD.exit_reason[0] / Uint32Array.BYTES_PER_ELEMENT;
const IMMEDIATE_EXIT = HEAD.immediate_exit[0];
const READY_FOR_INTERRUPT = HEAD.ready_for_interrupt_injection[0];
const INTERRUPT_WINDOW = HEAD.request_interrupt_window[0];
const VALID_REGS = HEAD.kvm_valid_regs[0];
const CR8 = HEAD.cr8[0];
const RIP = KVM_RUN_REGS_OFFSET + KVM_REGS.fields.rip[0];

const PAYLOAD = KVM_RUN_EXIT_OFFSET;
const IO = KVM_RUN_IO.fields;
const MMIO = KVM_RUN_MMIO.fields;
const MSR = KVM_RUN_MSR.fields;
const HYPERCALL = KVM_RUN_HYPERCALL.fields;
/** The size of `kvm_run.mmio.data`. */
const MMIO_BYTES = 8;

/** Answers port accesses: a bus, or a stand-in for one. */
export interface PortTarget<Owner> {
  /** The guest reads. @returns the value, of `sizeBytes` bytes */
  read(port: number, sizeBytes: number): number;
  /** Whose port the last read was. */
  readonly reader: Owner | undefined;
  /** The guest writes. @returns whose port it was */
  write(port: number, sizeBytes: number, value: number): Owner | undefined;
}

/** Answers MMIO accesses: a bus. */
export interface MmioTarget<Owner> {
  /** The guest reads: fills `data`. @returns whose GPA it was */
  read(gpa: number, data: Uint8Array): Owner | undefined;
  /** The guest writes. @returns whose GPA it was */
  write(gpa: number, data: Uint8Array): Owner | undefined;
}

/** What an access reads: a number is put in little-endian, and once for each item of a string. */
export type ReplyData = number | bigint | Uint8Array;

/**
 * One vCPU's `kvm_run`. Its parts are valid where `KVM_RUN` said so: {@linkcode io} after
 * an exit with the reason `IO`, and so on. Nothing on the way of an access allocates.
 *
 * @example
 * ```ts
 * import { ExitPage } from "./exit_page.ts";
 * const bytes = new Uint8Array(12288);
 * bytes[8] = 5; // exit_reason
 * console.log(new ExitPage(bytes).reason); // 5: KVM_EXIT_HLT
 * ```
 */
export class ExitPage {
  /** `kvm_run.io`, of the reason `IO`. */
  readonly io: PortAccess;
  /** `kvm_run.mmio`, of the reason `MMIO`. */
  readonly mmio: MmioAccess;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array;
  readonly #view: DataView;

  /** @param bytes `struct kvm_run` and the page of port data after it */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.#bytes = bytes;
    this.#words = new Uint32Array(buffer, byteOffset, byteLength >> 2);
    this.#view = new DataView(buffer, byteOffset, byteLength);
    this.io = new PortAccess(bytes, this.#view);
    this.mmio = new MmioAccess(bytes, this.#view);
  }

  /** Takes the view of memory away that is about to be unmapped. */
  release(): void {
    releaseView(this.#bytes.buffer);
  }

  /** Whether the view was taken away. */
  get released(): boolean {
    return this.#words.length === 0;
  }

  /** `exit_reason`: one of `KVM_EXIT`, valid where the return of `KVM_RUN` says so (R1). */
  get reason(): number {
    return this.#words[EXIT_REASON]!;
  }

  /**
   * R2: makes the reason read UNKNOWN, unless an immediate exit was requested: older kernels
   * leave the previous reason where a fault has no annotation.
   */
  forgetReason(): void {
    if (this.#bytes[IMMEDIATE_EXIT] === 0) this.#words[EXIT_REASON] = KVM_EXIT.UNKNOWN;
  }

  /** `immediate_exit`: makes `KVM_RUN` finish what is pending and return (R3). */
  get immediateExit(): boolean {
    return this.#bytes[IMMEDIATE_EXIT] === 1;
  }

  set immediateExit(value: boolean) {
    this.#bytes[IMMEDIATE_EXIT] = value ? 1 : 0;
  }

  /** `kvm_valid_regs`: which registers every exit leaves here (`KVM_SYNC_X86_*`). */
  set syncRegs(mask: number) {
    this.#view.setUint32(VALID_REGS, mask, true);
  }

  /** RIP at the exit, where {@linkcode syncRegs} has it shared. */
  get rip(): bigint | undefined {
    const shared = this.#view.getUint32(VALID_REGS, true) & KVM_SYNC_X86_REGS;
    return shared === 0 ? undefined : this.#view.getBigUint64(RIP, true);
  }

  /** `cr8`, of the reason `SET_TPR`. */
  get cr8(): bigint {
    return this.#view.getBigUint64(CR8, true);
  }

  /** Whether the guest takes an interrupt now (`ready_for_interrupt_injection`). */
  get readyForInterrupt(): boolean {
    return this.#bytes[READY_FOR_INTERRUPT] === 1;
  }

  /** An interrupt was queued: it takes no other before the next exit. */
  interruptQueued(): void {
    this.#bytes[READY_FOR_INTERRUPT] = 0;
  }

  /** Asks for an exit as soon as the guest takes interrupts (`request_interrupt_window`). */
  set interruptWindow(wanted: boolean) {
    this.#bytes[INTERRUPT_WINDOW] = wanted ? 1 : 0;
  }

  /** The payload of the exit as a struct. */
  payload<L extends Layout>(shape: L): StructOf<L> {
    return decode(shape, this.#bytes, PAYLOAD);
  }

  /** A copy of the payload's bytes, for reasons that have no struct. */
  rawPayload(sizeBytes: number = KVM_RUN_EXIT_SIZE): Uint8Array {
    return this.#bytes.slice(PAYLOAD, PAYLOAD + sizeBytes);
  }

  /** Replies to `X86_RDMSR` with a value, or takes the value of `X86_WRMSR`. */
  acceptMsr(value?: bigint): void {
    if (value !== undefined) this.#view.setBigUint64(PAYLOAD + MSR.data[0], value, true);
    this.#bytes[PAYLOAD + MSR.error[0]] = 0;
  }

  /** Replies to `X86_RDMSR` or `X86_WRMSR` with a #GP. */
  refuseMsr(): void {
    this.#bytes[PAYLOAD + MSR.error[0]] = 1;
  }

  /** Replies to `HYPERCALL`. @param value what the guest's RAX becomes */
  replyHypercall(value: bigint): void {
    this.#view.setBigInt64(PAYLOAD + HYPERCALL.ret[0], value, true);
  }

  /**
   * Replies to any exit that takes a reply.
   *
   * @throws {TypeError} without a value where the guest reads
   * @throws {RangeError} when the value has fewer bytes than the guest reads
   */
  reply(value: ReplyData | undefined): void {
    switch (this.reason) {
      case KVM_EXIT.IO:
        if (!this.io.isOut) fill(this.io.data, this.io.sizeBytes, required(value));
        break;
      case KVM_EXIT.MMIO:
        if (!this.mmio.isWrite) fill(this.mmio.data, this.mmio.data.length, required(value));
        break;
      case KVM_EXIT.HYPERCALL:
        this.replyHypercall(BigInt(required(value) as bigint));
        break;
      case KVM_EXIT.X86_RDMSR:
        this.acceptMsr(BigInt(required(value) as bigint));
        break;
      case KVM_EXIT.X86_WRMSR:
        this.acceptMsr();
        break;
    }
  }
}

/** A port access that waits for its reply: one item, or a string of them (`rep outsb`). */
export class PortAccess {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, view: DataView) {
    this.#bytes = bytes;
    this.#view = view;
  }

  /** The port. */
  get port(): number {
    return this.#view.getUint16(PAYLOAD + IO.port[0], true);
  }

  /** The size of each item in bytes: 1, 2 or 4. */
  get sizeBytes(): number {
    return this.#bytes[PAYLOAD + IO.size[0]]!;
  }

  /** How many items: more than 1 for a string. */
  get count(): number {
    return this.#view.getUint32(PAYLOAD + IO.count[0], true);
  }

  /** Whether the guest writes. */
  get isOut(): boolean {
    return this.#bytes[PAYLOAD + IO.direction[0]] === KVM_EXIT_IO.OUT;
  }

  /** The items' bytes: what the guest wrote, or where the reply goes. */
  get data(): Uint8Array {
    const at = this.#dataAt;
    return this.#bytes.subarray(at, at + this.sizeBytes * this.count);
  }

  get #dataAt(): number {
    return this.#view.getUint32(PAYLOAD + IO.data_offset[0], true);
  }

  /**
   * Gives the target what the guest wrote, or replies with what the target reads.
   *
   * @returns whose port it is, if anyone's
   */
  serve<Owner>(target: PortTarget<Owner>): Owner | undefined {
    const { port, sizeBytes, count, isOut } = this;
    let at = this.#dataAt;
    let owner: Owner | undefined;
    for (let i = 0; i < count; i++, at += sizeBytes) {
      if (isOut) owner = target.write(port, sizeBytes, this.#load(at, sizeBytes));
      else this.#store(at, sizeBytes, target.read(port, sizeBytes));
    }
    return isOut ? owner : target.reader;
  }

  #load(at: number, size: number): number {
    if (size === 1) return this.#bytes[at]!;
    return size === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  #store(at: number, size: number, value: number): void {
    if (size === 1) this.#bytes[at] = value;
    else if (size === 2) this.#view.setUint16(at, value, true);
    else this.#view.setUint32(at, value, true);
  }
}

/** An access to a GPA without memory that waits for its reply. */
export class MmioAccess {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The bytes of the access by size, made once. */
  readonly #bySize: readonly Uint8Array[];

  constructor(bytes: Uint8Array, view: DataView) {
    this.#bytes = bytes;
    this.#view = view;
    const at = PAYLOAD + MMIO.data[0];
    this.#bySize = Array.from(
      { length: MMIO_BYTES + 1 },
      (_, size) => bytes.subarray(at, at + size),
    );
  }

  /** The GPA: exact below 2^53, beyond which nothing is mapped. */
  get gpa(): number {
    const at = PAYLOAD + MMIO.phys_addr[0];
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  /** The GPA with all its bits. */
  get exactGpa(): bigint {
    return this.#view.getBigUint64(PAYLOAD + MMIO.phys_addr[0], true);
  }

  /** Whether the guest writes. */
  get isWrite(): boolean {
    return this.#bytes[PAYLOAD + MMIO.is_write[0]] !== 0;
  }

  /** The bytes of the access: what the guest wrote, or where the reply goes. */
  get data(): Uint8Array {
    return this.#bySize[Math.min(MMIO_BYTES, this.#view.getUint32(PAYLOAD + MMIO.len[0], true))]!;
  }

  /**
   * Gives the target what the guest wrote, or replies with what the target reads.
   *
   * @returns whose GPA it is, if anyone's
   */
  serve<Owner>(target: MmioTarget<Owner>): Owner | undefined {
    return this.isWrite ? target.write(this.gpa, this.data) : target.read(this.gpa, this.data);
  }
}

function required(value: ReplyData | undefined): ReplyData {
  if (value === undefined) throw new TypeError("the guest reads: the answer needs a value");
  return value;
}

/** Fills the items of an access, all of one size. */
function fill(data: Uint8Array, sizeBytes: number, value: ReplyData): void {
  if (value instanceof Uint8Array) {
    if (value.length < data.length) {
      throw new RangeError(`the guest reads ${data.length} bytes, the answer has ${value.length}`);
    }
    data.set(value.subarray(0, data.length));
    return;
  }
  const word = new DataView(new ArrayBuffer(8));
  word.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
  for (let i = 0; i < data.length; i++) data[i] = word.getUint8(i % sizeBytes);
}
