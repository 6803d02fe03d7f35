# fault/idt.bin16, idt.bin32, idt.bin64
#   does     loads IDTR with BAD and divides by zero, so that vector 0 is delivered through BAD's page.
#            It does not fill the table at BAD: idt-page.bin16, .bin32 or .bin64 is what belongs there
#   stdout   handled if BAD's page is that; zeros if it is zero, in real mode
#   ends     if BAD's page is zero, in the other modes, an exception that cannot be delivered: SHUTDOWN
#   fault    read of 4, 8 or 16 bytes (real, protected, long mode) at BAD by the delivery, RIP at DIV
# There is none for CPL 3: it would need a task state segment for the way back to CPL 0.

        .include "fault/fault.inc"
        .include "fault/idt.inc"

        start
        jmp     divide
        .org    HANDLER
handler:
        puts    "handled\n"
        finish

divide:
        go
.if BITS == 16
        mov     byte ptr [0], 0xea      # vector 0000:0000 leads to a far jump
        mov     word ptr [1], offset zeros
        mov     word ptr [3], 0
.endif
        lidt    [idtr]
        xor     eax, eax
        xor     edx, edx
        xor     ecx, ecx
        div     ecx
        debug_exit 1                    # not reached

.if BITS == 16
zeros:
        puts    "zeros\n"
        finish
.endif

idtr:
        .word   0xfff
.if BITS == 64
        .quad   BAD
.else
        .long   BAD
.endif
