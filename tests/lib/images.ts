/**
 * Boot images made by hand, well-formed unless told otherwise, and a look into
 * the guest memory that a plan fills.
 *
 * @module
 */

import { encode, layout, type PartialStruct } from "../../ffi/layout.ts";
import type { BootPlan } from "../../src/boot/plan.ts";

const ELF32_HEADER = layout("Elf32_Ehdr", 52, {
  magic: [0, "u32"],
  class: [4, "u8"],
  data: [5, "u8"],
  version: [6, "u8"],
  e_type: [16, "u16"],
  e_machine: [18, "u16"],
  e_version: [20, "u32"],
  e_entry: [24, "u32"],
  e_phoff: [28, "u32"],
  e_ehsize: [40, "u16"],
  e_phentsize: [42, "u16"],
  e_phnum: [44, "u16"],
});
const ELF64_HEADER = layout("Elf64_Ehdr", 64, {
  magic: [0, "u32"],
  class: [4, "u8"],
  data: [5, "u8"],
  version: [6, "u8"],
  e_type: [16, "u16"],
  e_machine: [18, "u16"],
  e_version: [20, "u32"],
  e_entry: [24, "u64"],
  e_phoff: [32, "u64"],
  e_ehsize: [52, "u16"],
  e_phentsize: [54, "u16"],
  e_phnum: [56, "u16"],
});
const ELF32_PROGRAM_HEADER = layout("Elf32_Phdr", 32, {
  p_type: [0, "u32"],
  p_offset: [4, "u32"],
  p_vaddr: [8, "u32"],
  p_paddr: [12, "u32"],
  p_filesz: [16, "u32"],
  p_memsz: [20, "u32"],
  p_flags: [24, "u32"],
  p_align: [28, "u32"],
});
const ELF64_PROGRAM_HEADER = layout("Elf64_Phdr", 56, {
  p_type: [0, "u32"],
  p_flags: [4, "u32"],
  p_offset: [8, "u64"],
  p_vaddr: [16, "u64"],
  p_paddr: [24, "u64"],
  p_filesz: [32, "u64"],
  p_memsz: [40, "u64"],
  p_align: [48, "u64"],
});

/** A loadable segment; what is left out follows from the rest. */
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

/** An ELF file; what is left out is as it should be. */
export interface ElfOptions {
  readonly bits?: 32 | 64;
  readonly segments?: readonly SegmentOptions[];
  readonly header?: PartialStruct<typeof ELF64_HEADER>;
  /** Bytes between the program headers. */
  readonly gap?: number;
}

/** `hlt`. */
export const HALT: Uint8Array<ArrayBuffer> = new Uint8Array([0xf4]);
/** Where segments go that do not say. */
export const LOAD_ADDRESS = 0x10_0000n;

/** An ELF executable that loads its segments and is entered at the first one's start. */
export function elf(options: ElfOptions = {}): Uint8Array<ArrayBuffer> {
  const { bits = 64, segments = [{ bytes: HALT }], header = {}, gap = 0 } = options;
  const wide = bits === 64;
  const [fileHeader, programHeader] = wide
    ? [ELF64_HEADER, ELF64_PROGRAM_HEADER]
    : [ELF32_HEADER, ELF32_PROGRAM_HEADER];
  const entrySize = programHeader.size + gap;
  const tableSize = segments.length * entrySize;
  const contents = segments.map((segment) => segment.bytes ?? new Uint8Array());
  const size = contents.reduce((sum, bytes) => sum + bytes.length, fileHeader.size + tableSize);
  const image = new Uint8Array(size);
  const narrow = (value: bigint) => wide ? value : Number(value);
  const [first] = segments;
  const fields = {
    magic: 0x464c_457f,
    class: wide ? 2 : 1,
    data: 1,
    version: 1,
    e_type: 2,
    e_machine: wide ? 62 : 3,
    e_version: 1,
    e_entry: first?.p_vaddr ?? first?.p_paddr ?? LOAD_ADDRESS,
    e_phoff: BigInt(fileHeader.size),
    e_ehsize: fileHeader.size,
    e_phentsize: entrySize,
    e_phnum: segments.length,
    ...header,
  };
  encode(fileHeader, {
    ...fields,
    e_entry: narrow(fields.e_entry) as bigint,
    e_phoff: narrow(fields.e_phoff) as bigint,
  } as PartialStruct<typeof fileHeader>, image);
  let offset = fileHeader.size + tableSize;
  segments.forEach(({ bytes = new Uint8Array(), ...given }, i) => {
    const fileSize = BigInt(bytes.length);
    const address = given.p_paddr ?? LOAD_ADDRESS;
    const program = {
      p_type: 1,
      p_offset: BigInt(offset),
      p_vaddr: address,
      p_paddr: address,
      p_filesz: fileSize,
      p_memsz: given.p_filesz ?? fileSize,
      p_align: 0n,
      ...given,
    };
    encode(
      programHeader,
      program as PartialStruct<typeof programHeader>,
      image,
      fileHeader.size + i * entrySize,
    );
    image.set(bytes, offset);
    offset += bytes.length;
  });
  return image;
}

/** A note, as a segment of notes has it. */
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

/** A flat Multiboot kernel; what is left out is as it should be. */
export interface MultibootOptions {
  readonly flags?: number;
  readonly checksum?: number;
  readonly addresses?: Partial<MultibootAddresses>;
  /** What stands before the header. */
  readonly before?: Uint8Array;
  /** What stands behind the header. */
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
