# pc/idle.bin16
#   does     waits in HLT, with interrupts on, for one that never comes; needs --machine pc
#   stdout   nothing
#   ends     not by itself

        .include "pc/pc.inc"

        .code16
        .globl  _start
_start:
        set_up_pics mask=0xff
        sti
1:
        hlt
        jmp     1b
