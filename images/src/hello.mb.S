# hello.mb
#   does     greets from protected mode, paging off; an ELF32 executable with a Multiboot 1 header
#   stdout   Hello from Multiboot!
#   ends     HLT: outcome halt, exit code 0
#   exits    22 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"
        .include "multiboot.inc"

        multiboot_header flags=0

        .text
        .globl  _start
_start:
        puts    "Hello from Multiboot!\n"
        halt
