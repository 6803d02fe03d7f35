# fault/pop.bin16, pop.bin32, pop.bin64, pop-user.bin64
#   does     sets the stack pointer to BAD + 0x800, pops, and prints what was popped, with its first
#            stack again
#   stdout   00000000
#   fault    read of 2, 4 or 8 bytes (real, protected, long mode) at BAD + 0x800

        .include "fault/fault.inc"

        begin
        mov     ebp, esp
        xor     ecx, ecx
.if BITS == 16
        mov     ss, ax
.endif
        lea     stack, [bad + 0x800]
        pop     count
.if BITS == 16
        xor     ax, ax
        mov     ss, ax
.endif
        mov     esp, ebp
        mov     eax, ecx
        say
        finish

        hex_routine
