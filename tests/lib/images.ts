/**
 * Boot images made by hand, well-formed by default, and the guest
 * memory that a plan fills.
 *
 * @module
 */

import { encode, type Layout, layout, type Scalar } from "../../ffi/layout.ts";
import { assertThrows } from "@std/assert";
import { ImageError } from "../../src/boot/image.ts";
import type { BootPlan } from "../../src/boot/plan.ts";

/** `Elf32_Ehdr` or `Elf64_Ehdr`: a word is an address or an offset, and as wide as the class. */
function fileHeader(bits: 32 | 64) {
  const word = bits === 64 ? "u64" : "u32";
  const wordBytes = bits / 8;
  const sizes = 28 + 3 * wordBytes; // behind e_entry, e_phoff, e_shoff and e_flags
  return layout(`Elf${bits}_Ehdr`, 40 + 3 * wordBytes, {
    magic: [0, "u32"],
    class: [4, "u8"],
    data: [5, "u8"],
    version: [6, "u8"],
    osabi: [7, "u8"],
    e_type: [16, "u16"],
    e_machine: [18, "u16"],
    e_version: [20, "u32"],
    e_entry: [24, word],
    e_phoff: [24 + wordBytes, word],
    e_ehsize: [sizes, "u16"],
    e_phentsize: [sizes + 2, "u16"],
    e_phnum: [sizes + 4, "u16"],
  });
}

/** `Elf32_Phdr` or `Elf64_Phdr`, which have p_flags in different places. */
function programHeader(bits: 32 | 64) {
  const [word, first, wordBytes, flags] = bits === 64
    ? ["u64", 8, 8, 4] as const
    : ["u32", 4, 4, 24] as const;
  const sizes = first + 3 * wordBytes; // behind p_offset, p_vaddr and p_paddr
  return layout(`Elf${bits}_Phdr`, bits === 64 ? 56 : 32, {
    p_type: [0, "u32"],
    p_flags: [flags, "u32"],
    p_offset: [first, word],
    p_vaddr: [first + wordBytes, word],
    p_paddr: [first + 2 * wordBytes, word],
    p_filesz: [sizes, word],
    p_memsz: [sizes + wordBytes, word],
    p_align: [bits === 64 ? 48 : 28, word],
  });
}

/** A segment; missing fields are derived from the others. */
export interface SegmentOptions {
  readonly bytes?: Uint8Array;
  readonly p_type?: number;
  readonly p_flags?: number;
  readonly p_offset?: bigint;
  readonly p_vaddr?: bigint;
  readonly p_paddr?: bigint;
  readonly p_filesz?: bigint;
  readonly p_memsz?: bigint;
  readonly p_align?: bigint;
}

/** An ELF file; missing fields get their right values. */
export interface ElfOptions {
  readonly bits?: 32 | 64;
  readonly segments?: readonly SegmentOptions[];
  readonly header?: Readonly<Record<string, number | bigint>>;
  /** Bytes between the program headers. */
  readonly gap?: number;
}

/** `hlt`. */
export const HALT: Uint8Array<ArrayBuffer> = new Uint8Array([0xf4]);
/** The default load address. */
export const LOAD_ADDRESS = 0x10_0000n;

/** An ELF executable that loads its segments and is entered at the first one's start. */
export function elf(options: ElfOptions = {}): Uint8Array<ArrayBuffer> {
  const { bits = 64, segments = [{ bytes: HALT }], header: given = {}, gap = 0 } = options;
  const [header, entry] = [fileHeader(bits), programHeader(bits)];
  const entrySize = entry.size + gap;
  const tableSize = segments.length * entrySize;
  const contents = segments.map((segment) => segment.bytes ?? new Uint8Array());
  const size = contents.reduce((sum, bytes) => sum + bytes.length, header.size + tableSize);
  const image = new Uint8Array(size);
  const [first] = segments;
  put(header, image, 0, {
    magic: 0x464c_457f,
    class: bits / 32,
    data: 1,
    version: 1,
    e_type: 2,
    e_machine: bits === 64 ? 62 : 3,
    e_version: 1,
    e_entry: first?.p_vaddr ?? first?.p_paddr ?? LOAD_ADDRESS,
    e_phoff: header.size,
    e_ehsize: header.size,
    e_phentsize: entrySize,
    e_phnum: segments.length,
    ...given,
  });
  let offset = header.size + tableSize;
  segments.forEach(({ bytes = new Uint8Array(), ...segment }, i) => {
    const address = segment.p_paddr ?? LOAD_ADDRESS;
    put(entry, image, header.size + i * entrySize, {
      p_type: 1,
      p_offset: offset,
      p_vaddr: address,
      p_paddr: address,
      p_filesz: bytes.length,
      p_memsz: segment.p_filesz ?? bytes.length,
      p_align: 0,
      ...segment,
    });
    image.set(bytes, offset);
    offset += bytes.length;
  });
  return image;
}

/** Writes fields by their names; those of either width take numbers and bigints. */
function put(
  shape: Layout<Readonly<Record<string, readonly [offset: number, type: Scalar]>>>,
  image: Uint8Array<ArrayBuffer>,
  at: number,
  fields: Readonly<Record<string, number | bigint>>,
): void {
  encode(shape, fields, image, at);
}

/** The dynamic section of a position-independent executable, and what it points to. */
export function dynamicElf(tags: [tag: bigint, value: bigint][], data: Uint8Array): Uint8Array {
  const dynamic = new Uint8Array(new BigUint64Array(tags.flat()).buffer);
  return elf({
    segments: [{ bytes: data, p_paddr: 0n }, { bytes: dynamic, p_type: 2 }],
    header: { e_type: 3, e_entry: 0n },
  });
}

/** A note, as in a PT_NOTE segment. */
export function note(
  owner: string,
  type: number,
  content: Uint8Array,
  alignment = 4,
): Uint8Array<ArrayBuffer> {
  const name = owner === "" ? new Uint8Array() : new TextEncoder().encode(owner + "\0");
  const up = (size: number): number => Math.ceil(size / alignment) * alignment;
  const contentAt = up(12 + name.length);
  const bytes = new Uint8Array(up(contentAt + content.length));
  bytes.set(new Uint8Array(new Uint32Array([name.length, content.length, type]).buffer));
  bytes.set(name, 12);
  bytes.set(content, contentAt);
  return bytes;
}

/** The address fields of a Multiboot header (flag bit 16). */
export interface MultibootAddresses {
  readonly header_addr: number;
  readonly load_addr: number;
  readonly load_end_addr: number;
  readonly bss_end_addr: number;
  readonly entry_addr: number;
}

/** A flat Multiboot kernel; missing fields get their right values. */
export interface MultibootOptions {
  readonly flags?: number;
  readonly checksum?: number;
  readonly addresses?: Partial<MultibootAddresses>;
  /** The bytes before the header. */
  readonly before?: Uint8Array;
  /** The bytes behind the header. */
  readonly code?: Uint8Array;
}

const MULTIBOOT_HEADER_BYTES = 32;
const ADDRESSES_FLAG = 0x1_0000;

/** A Multiboot kernel that is loaded by its header's addresses and entered behind the header. */
export function multiboot(options: MultibootOptions = {}): Uint8Array<ArrayBuffer> {
  const { flags = ADDRESSES_FLAG, before = new Uint8Array(), code = HALT } = options;
  const load = Number(LOAD_ADDRESS);
  const at = load + before.length;
  const addresses: MultibootAddresses = {
    header_addr: at,
    load_addr: load,
    load_end_addr: at + MULTIBOOT_HEADER_BYTES + code.length,
    bss_end_addr: 0,
    entry_addr: at + MULTIBOOT_HEADER_BYTES,
    ...options.addresses,
  };
  const image = new Uint8Array(before.length + MULTIBOOT_HEADER_BYTES + code.length);
  image.set(before);
  image.set(multibootHeader(flags, options.checksum), before.length);
  const words = new DataView(image.buffer, before.length + 12);
  Object.values(addresses).forEach((address, i) => words.setUint32(i * 4, address, true));
  image.set(code, before.length + MULTIBOOT_HEADER_BYTES);
  return image;
}

/** The first three words of a Multiboot header. */
export function multibootHeader(
  flags = 0,
  checksum = -(0x1bad_b002 + flags),
): Uint8Array<ArrayBuffer> {
  const words = [0x1bad_b002, flags, checksum].map((word) => word >>> 0);
  return new Uint8Array(new Uint32Array(words).buffer);
}

/** A built image of `images/`. */
export function imageFile(name: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`../../images/${name}`, import.meta.url));
}

/** Why an image is refused, and the option that would help: `… not within guest RAM [memory]`. */
export function refusalOf(plan: () => unknown): string {
  return explain(assertThrows(plan, ImageError));
}

/** The same of an error that was caught. */
export function explain({ message, remedy }: ImageError): string {
  if (!remedy) return message;
  const { option, value = "" } = remedy;
  return `${message} [${`${option} ${value}`.trim()}]`;
}

/** Guest memory as a plan leaves it, zeros included; throws where it puts nothing. */
export class PlannedMemory {
  constructor(readonly plan: BootPlan) {}

  read(gpa: bigint, sizeBytes: number): Uint8Array<ArrayBuffer> {
    const holder = this.plan.segments.find((segment) =>
      gpa >= segment.gpa && gpa + BigInt(sizeBytes) <= segment.gpa + BigInt(segment.sizeBytes)
    );
    if (!holder) throw new Error(`nothing is planned for 0x${gpa.toString(16)}`);
    const bytes = new Uint8Array(sizeBytes);
    const start = Number(gpa - holder.gpa);
    bytes.set(holder.bytes.subarray(start, start + sizeBytes));
    return bytes;
  }

  u32(gpa: bigint): number {
    return new DataView(this.read(gpa, 4).buffer).getUint32(0, true);
  }

  u64(gpa: bigint): bigint {
    return new DataView(this.read(gpa, 8).buffer).getBigUint64(0, true);
  }

  /** The NUL-terminated string at an address. */
  string(gpa: bigint): string {
    let text = "";
    for (let byte; (byte = this.read(gpa + BigInt(text.length), 1)[0]) !== 0;) {
      text += String.fromCharCode(byte!);
    }
    return text;
  }

  /** The descriptors of the plan's GDT. */
  gdt(): bigint[] {
    const { base, limit } = this.plan.entry.gdt!;
    return Array.from({ length: (limit + 1) / 8 }, (_, i) => this.u64(base + BigInt(i) * 8n));
  }
}
