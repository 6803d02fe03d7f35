# fault/lazy-read.bin64, lazy-read-user.bin64
#   does     adds up the first 4 bytes of each of 256 pages from 16 MiB on and prints the sum
#   stdout   00000000; with other content the low 32 bits of its sum
#   fault    256 times, read of 4 bytes at 0x1000000 + i * 0x1000

        .include "fault/fault.inc"
        .include "fault/many.inc"

        .set    COUNT, 256

        begin
        mov     edi, PAGES
        mov     ecx, COUNT
        xor     eax, eax
next:
        add     eax, [rdi]
        add     rdi, 0x1000
        dec     ecx
        jnz     next
        say
        finish

        hex_routine
