/**
 * How loaders read an image file: every read is checked, and every problem is an
 * {@linkcode ImageError} that names the field and its value.
 *
 * @module
 */

import { hex } from "../hex.ts";

/** The option to change so that an image boots; the caller words it for its users. */
export interface Remedy {
  /**
   * `memory`: give the guest more. `boot`: name the protocol, `value` where there is only one.
   * `entry`, `commandLine`, `decompress`: change it or leave it out.
   */
  readonly option: "memory" | "boot" | "entry" | "commandLine" | "decompress";
  /** The value to set, if there is only one choice. */
  readonly value?: string;
}

/** An image that cannot be booted, and why. */
export class ImageError extends Error {
  /** Its name. */
  override readonly name = "ImageError";
  /** The remedy, if there is one. */
  readonly remedy: Remedy | undefined;

  /**
   * Says what is wrong with the image.
   *
   * @param message the defect, with the value in hex
   * @param options the error's cause, and its remedy: an option or its whole description
   */
  constructor(
    message: string,
    options: ErrorOptions & { readonly remedy?: Remedy | Remedy["option"] } = {},
  ) {
    super(message, options);
    const { remedy } = options;
    this.remedy = typeof remedy === "string" ? { option: remedy } : remedy;
  }
}

/**
 * Little-endian fields of an image.
 *
 * @example
 * ```ts
 * import { ImageReader } from "./image.ts";
 * const reader = new ImageReader(new Uint8Array([0x34, 0x12]), "a header");
 * console.log(reader.u16(0, "magic").toString(16)); // "1234"
 * ```
 */
export class ImageReader {
  readonly #view: DataView;

  /**
   * @param bytes the file, or the part that offsets are relative to
   * @param what what errors call it: `ELF header`
   */
  constructor(readonly bytes: Uint8Array, readonly what: string) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** 16 bits. @throws {ImageError} */
  u16(offset: number, field: string): number {
    this.#check(offset, 2, field);
    return this.#view.getUint16(offset, true);
  }

  /** 32 bits. @throws {ImageError} */
  u32(offset: number, field: string): number {
    this.#check(offset, 4, field);
    return this.#view.getUint32(offset, true);
  }

  /** 64 bits. @throws {ImageError} */
  u64(offset: number, field: string): bigint {
    this.#check(offset, 8, field);
    return this.#view.getBigUint64(offset, true);
  }

  /** A part of the file. @throws {ImageError} */
  slice(offset: bigint, sizeBytes: bigint, field: string): Uint8Array {
    if (offset + sizeBytes > BigInt(this.bytes.length)) {
      throw new ImageError(
        `${this.what}: ${field} needs bytes ${hex(offset)} to ${hex(offset + sizeBytes)}, ` +
          `but the file ends at ${hex(this.bytes.length)}; it is truncated or damaged`,
      );
    }
    return this.bytes.subarray(Number(offset), Number(offset + sizeBytes));
  }

  #check(offset: number, sizeBytes: number, field: string): void {
    this.slice(BigInt(offset), BigInt(sizeBytes), field);
  }
}
