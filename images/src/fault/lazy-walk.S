# fault/lazy-walk.bin64, lazy-walk-user.bin64
#   does     writes a number to each of 10,000 pages from 16 MiB on, (i + 1) * 0x9e3779b1 to page i;
#            then reads them all back and prints a checksum: for each page, rotate left by 1 and add.
#            Needs 64M of RAM
#   stdout   da605802
#   fault    10,000 times, write of 4 bytes at 0x1000000 + i * 0x1000

        .include "fault/fault.inc"
        .include "fault/many.inc"

        .set    COUNT, 10000
        .set    STEP, 0x9e3779b1

        begin
        mov     edi, PAGES
        mov     ecx, COUNT
        xor     eax, eax
write:
        add     eax, STEP
        mov     [rdi], eax
        add     rdi, 0x1000
        dec     ecx
        jnz     write

        mov     edi, PAGES
        mov     ecx, COUNT
        xor     eax, eax
check:
        rol     eax, 1
        add     eax, [rdi]
        add     rdi, 0x1000
        dec     ecx
        jnz     check
        say
        finish

        hex_routine
