# vmlinux.elf
#   does     stands for a Linux kernel as the linker left it: an ELF64 executable with a note of Linux,
#            entered in long mode; prints what boot_params say
#   stdout   as linux-info.bzimage with entry=64
#   ends     HLT: outcome halt, exit code 0
#   exits    1 IO a character (OUT to 0x3f8), 1 HLT

        .include "guest.inc"
        .include "hex.inc"
        .include "linux.inc"
        .include "text.inc"

        .section .notes, "a"
        elf_note Linux, 0x101           # LINUX_ELFNOTE_LTO_INFO

        .text
        .globl  _start
_start:
        mov     edi, 0x64
        boot_params_routine

        text_routines
        hex_routine
