# regs.bin16
#   does     prints the state in which a flat16 guest is entered
#   stdout   one "name=hex" a line: sp=7c00 dx=0080 flags=0002 cs=0000 ds=0000 es=0000 fs=0000 gs=0000
#            ss=0000 cr0=60000010 (PE, PG off) efer=00000000
#   ends     HLT: outcome halt, exit code 0
#   exits    102 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"
        .include "regs.inc"

        .code16
        .globl  _start
_start:
        mov     ebp, esp
        mov     edi, edx
        pushf
        show    sp, ebp, 4
        show    dx, edi, 4
        show_popped flags, 4, ax
        show_selectors
        show    cr0, cr0, 8
        show_efer
        halt

        hex_routine
