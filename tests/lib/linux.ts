/**
 * Linux kernels made by hand, well-formed by default.
 *
 * @module
 */

import { encode, layout, type PartialStruct } from "../../ffi/layout.ts";

/** `struct setup_header` of asm/bootparam.h, at its place in a file. */
const SETUP_HEADER = layout("setup_header", 0x26c, {
  setup_sects: [0x1f1, "u8"],
  root_flags: [0x1f2, "u16"],
  syssize: [0x1f4, "u32"],
  vid_mode: [0x1fa, "u16"],
  boot_flag: [0x1fe, "u16"],
  jump: [0x200, "u16"],
  header: [0x202, "u32"],
  version: [0x206, "u16"],
  kernel_version: [0x20e, "u16"],
  type_of_loader: [0x210, "u8"],
  loadflags: [0x211, "u8"],
  setup_move_size: [0x212, "u16"],
  code32_start: [0x214, "u32"],
  ramdisk_image: [0x218, "u32"],
  ramdisk_size: [0x21c, "u32"],
  heap_end_ptr: [0x224, "u16"],
  cmd_line_ptr: [0x228, "u32"],
  initrd_addr_max: [0x22c, "u32"],
  kernel_alignment: [0x230, "u32"],
  relocatable_kernel: [0x234, "u8"],
  min_alignment: [0x235, "u8"],
  xloadflags: [0x236, "u16"],
  cmdline_size: [0x238, "u32"],
  payload_offset: [0x248, "u32"],
  payload_length: [0x24c, "u32"],
  setup_data: [0x250, "u64"],
  pref_address: [0x258, "u64"],
  init_size: [0x260, "u32"],
  kernel_info_offset: [0x268, "u32"],
});

/** Fields of the setup header. */
export type SetupHeader = PartialStruct<typeof SETUP_HEADER>;

/**
 * A bzImage of protocol 2.15 with all three entries and two sectors of real-mode code.
 *
 * @param kernel its protected-mode code
 */
export function bzImage(
  fields: SetupHeader = {},
  kernel: Uint8Array = new Uint8Array(0x400).fill(0xf4),
): Uint8Array<ArrayBuffer> {
  const setupBytes = 2 * 512;
  const image = new Uint8Array(setupBytes + kernel.length);
  encode(SETUP_HEADER, {
    setup_sects: 1,
    syssize: Math.ceil(kernel.length / 16),
    boot_flag: 0xaa55,
    jump: 0x6aeb,
    header: 0x5372_6448,
    version: 0x20f,
    loadflags: 1,
    code32_start: 0x10_0000,
    initrd_addr_max: 0x7fff_ffff,
    kernel_alignment: 0x1000,
    xloadflags: 1,
    cmdline_size: 255,
    pref_address: 0x10_0000n,
    init_size: kernel.length,
    ...fields,
  }, image);
  image.set(kernel, setupBytes);
  return image;
}

/** A bzImage with a compressed kernel: the payload is all of its code. */
export function packedImage(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return bzImage({ payload_offset: 0, payload_length: payload.length }, payload);
}
