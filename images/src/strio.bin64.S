# strio.bin64
#   does     string I/O: REP OUTSB up and down to the two debug consoles, REP OUTSW and OUTSD to an
#            unclaimed port, REP INSB, INSW and INSD from it, and prints what came in
#   stdout   outsb to 0xe9
#            outsb to 0x402
#            outsb down
#            insb ffffff
#            insw ffffffffffff
#            insd ffffffffffffffffffffffff
#            (the consoles' lines before those of COM1, as written)
#   ends     HLT: outcome halt, exit code 0
#   exits    IO with count > 1 where KVM batches them (it need not, and does not downwards), 1 HLT.
#            OUTSW writes bytes 61 62 63 64 65 66, OUTSD 41 42 ... 4c, in that order

        .include "guest.inc"
        .include "hex.inc"

        .set SEABIOS_DEBUG, 0x402

# Three units of \unit bytes by REP INS\suffix, printed first byte first.
.macro input suffix, unit
        mov     edi, offset buffer
        mov     ecx, 3
        mov     dx, UNCLAIMED
        rep     ins\suffix
        puts    "ins\suffix "
        mov     edi, offset buffer
        mov     ebp, 3 * \unit
        call    put_buffer
.endm

        .globl  _start
_start:
        cld
        mov     dx, DEBUGCON
        mov     esi, offset up
        mov     ecx, offset up_end - up
        rep     outsb

        mov     dx, SEABIOS_DEBUG
        mov     esi, offset up402
        mov     ecx, offset up402_end - up402
        rep     outsb

        std
        mov     dx, DEBUGCON
        mov     esi, offset down_end - 1
        mov     ecx, offset down_end - down
        rep     outsb
        cld

        mov     dx, UNCLAIMED
        mov     esi, offset words
        mov     ecx, 3
        rep     outsw
        mov     esi, offset dwords
        mov     ecx, 3
        rep     outsd

        input   b, 1
        input   w, 2
        input   d, 4
        halt

# Prints EBP bytes at EDI in hexadecimal and ends the line.
put_buffer:
        movzx   eax, byte ptr [rdi]
        hex     2
        inc     edi
        dec     ebp
        jnz     put_buffer
        puts    "\n"
        ret

        hex_routine

up:     .ascii  "outsb to 0xe9\n"
up_end:
up402:  .ascii  "outsb to 0x402\n"
up402_end:
down:   .ascii  "\nnwod bstuo"
down_end:
words:  .ascii  "abcdef"
dwords: .ascii  "ABCDEFGHIJKL"

        .bss
buffer: .skip   12
