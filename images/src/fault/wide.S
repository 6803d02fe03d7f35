# fault/wide.bin64, wide-user.bin64
#   does     stores 16 bytes at BAD + 8 with MOVUPS, loads them from there, stores those in the page
#            before BAD, and prints the first and the last 4
#   stdout   00112233 ccddeeff
#   fault    write of 16 bytes at BAD + 8; an emulator makes two of 8 bytes of it

        .include "fault/fault.inc"

        .set    CR4_OSFXSR, 1 << 9      # SSE is allowed

        start
        mov     rax, cr4
        or      eax, CR4_OSFXSR
        mov     cr4, rax
        go
        movups  xmm0, [pattern]
        movups  [bad + 8], xmm0
        movups  xmm1, [bad + 8]
        movups  [bad - 16], xmm1
        mov     eax, [bad - 16]
        say     " "
        mov     eax, [bad - 4]
        say
        finish

        hex_routine

pattern:
        .long   0x00112233, 0x44556677, 0x8899aabb, 0xccddeeff
