# fault/idt-page.bin16, idt-page.bin32, idt-page.bin64
#   not a guest, but the content of BAD's page for the idt guests: an interrupt table whose vector 0
#   leads to their handler

        .include "fault/idt.inc"

        .set    CODE, 0x08
        .set    INTERRUPT_GATE, 0x8e00

        .globl  _start
_start:
.if BITS == 16
        .word   0x7c00 + HANDLER, 0
.else
        .word   HANDLER, CODE, INTERRUPT_GATE, 0x10     # 0x100000 + HANDLER
.if BITS == 64
        .quad   0
.endif
.endif
