/**
 * A kernel object behind a file descriptor, closed once and never used after.
 *
 * @module
 */

import { close, ioctl, ioctlBuffer } from "../../ffi/libc.ts";
import {
  decode,
  encode,
  type Layout,
  type PartialStruct,
  type StructOf,
} from "../../ffi/layout.ts";

/** A use of a KVM object after it was disposed: a bug of the caller's. */
export class DisposedError extends Error {
  override readonly name = "DisposedError";
  constructor(what: string) {
    super(`${what} was used after it was disposed`);
  }
}

/**
 * An open file descriptor with the ioctls of its kind. Disposing it closes it
 * and, before that, whatever was made from it and is still open; disposing it
 * again does nothing.
 */
export class Descriptor implements Disposable {
  #fd: number;
  readonly #children = new Set<Descriptor>();
  readonly #parent: Descriptor | undefined;

  /**
   * @param what its name in errors: `vCPU 0`
   * @param fd the descriptor, owned from here on
   * @param parent what it was made from, if anything
   */
  constructor(readonly what: string, fd: number, parent?: Descriptor) {
    this.#fd = fd;
    this.#parent = parent;
    if (parent) parent.#children.add(this);
  }

  /** The open descriptor. @throws {DisposedError} */
  get fd(): number {
    if (this.#fd < 0) throw new DisposedError(this.what);
    return this.#fd;
  }

  /** Whether it was disposed. */
  get disposed(): boolean {
    return this.#fd < 0;
  }

  /** The objects to dispose before the descriptor is closed. */
  protected release(): void {}

  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    for (const child of [...this.#children].reverse()) child[Symbol.dispose]();
    this.release();
    if (this.#parent) this.#parent.#children.delete(this);
    close(this.#fd);
    this.#fd = -1;
  }

  /** An ioctl that takes a number. */
  protected call(name: string, request: number, argument = 0): number {
    return ioctl(name, this.fd, request, argument);
  }

  /** An ioctl on bytes laid out by the caller, which the kernel may change. */
  protected exchange(name: string, request: number, bytes: Uint8Array<ArrayBuffer>): number {
    return ioctlBuffer(name, this.fd, request, bytes);
  }

  /** An ioctl that fills a struct. */
  protected get<L extends Layout>(
    name: string,
    request: number,
    shape: L,
    input: PartialStruct<L> = {},
  ): StructOf<L> {
    const bytes = encode(shape, input);
    this.exchange(name, request, bytes);
    return decode(shape, bytes);
  }

  /** An ioctl that takes a struct. */
  protected set<L extends Layout>(
    name: string,
    request: number,
    shape: L,
    value: PartialStruct<L>,
  ): number {
    return this.exchange(name, request, encode(shape, value));
  }
}
