# hello.kludge
#   does     greets from protected mode, paging off; a flat binary whose Multiboot 1 header says where
#            to load and enter it (the "a.out kludge", header flag 16)
#   stdout   Hello from a kludge!
#   ends     HLT: outcome halt, exit code 0
#   exits    21 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"
        .include "multiboot.inc"

        multiboot_header flags=MB_ADDRESSES
        .long   multiboot_start         # header_addr
        .long   multiboot_start         # load_addr: the header is the first thing in the file
        .long   image_end               # load_end_addr
        .long   image_end               # bss_end_addr: no .bss
        .long   _start                  # entry_addr

        .text
        .globl  _start
_start:
        puts    "Hello from a kludge!\n"
        halt
