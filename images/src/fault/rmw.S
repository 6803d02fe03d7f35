# fault/rmw.bin16, rmw.bin32, rmw.bin64, rmw-user.bin64
#   does     reads, changes and writes 4 bytes at BAD + 8 with INC, ADD 2 and XADD 4; prints them and
#            what XADD read
#   stdout   00000007 00000003
#   fault    write of 4 bytes at BAD + 8; an emulator may see the read first

        .include "fault/fault.inc"

        begin
        mov     eax, 4
        inc     dword ptr es:[bad + 8]
        add     dword ptr es:[bad + 8], 2
        xadd    es:[bad + 8], eax
        mov     ebp, eax
        mov     eax, es:[bad + 8]
        say     " "
        mov     eax, ebp
        say
        finish

        hex_routine
