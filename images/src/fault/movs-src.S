# fault/movs-src.bin16, movs-src.bin32, movs-src.bin64, movs-src-user.bin64
#   does     copies 16 bytes from BAD + 8 to the page before BAD with REP MOVSB; prints the last 4
#   stdout   00000000
#   fault    read of 1 byte at BAD + 8

        .include "fault/fault.inc"

        begin
        lea     source, [bad + 8]
        sub     bad, 0x100
        mov     count, 16
        cld
        rep movsb byte ptr es:[bad], byte ptr es:[source]
        mov     eax, es:[bad - 4]
        say
        finish

        hex_routine
