# fault/push.bin16, push.bin32, push.bin64, push-user.bin64
#   does     sets the stack's end to BAD + 0x800, then one each of PUSH, POP, CALL and RET; prints what
#            was popped
#   stdout   0000005a
#   fault    write of 2, 4 or 8 bytes (real, protected, long mode) below BAD + 0x800

        .include "fault/fault.inc"

        begin
.if BITS == 16
        mov     ss, ax
.endif
        lea     stack, [bad + 0x800]
        xor     ecx, ecx
        push    0x5a
        pop     count
        call    return
        mov     eax, ecx
        say
        finish

return:
        ret

        hex_routine
