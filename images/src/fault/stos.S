# fault/stos.bin16, stos.bin32, stos.bin64, stos-user.bin64
#   does     stores 16 times 4 bytes from BAD + 8 on with REP STOSD; prints the last 4 bytes
#   stdout   5a5a5a5a
#   fault    write of 4 bytes at BAD + 8

        .include "fault/fault.inc"

        begin
        mov     eax, 0x5a5a5a5a
        add     bad, 8
        mov     count, 16
        cld
        rep stosd
        mov     eax, es:[bad - 4]
        say
        finish

        hex_routine
