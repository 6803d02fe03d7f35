# fault/movs-dst.bin16, movs-dst.bin32, movs-dst.bin64, movs-dst-user.bin64
#   does     copies 16 bytes to BAD + 8 with REP MOVSB; prints the last 4
#   stdout   66656463
#   fault    write of 1 byte at BAD + 8

        .include "fault/fault.inc"

        begin
        mov     source, offset text
        add     bad, 8
        mov     count, 16
        cld
        rep movsb
        mov     eax, es:[bad - 4]
        say
        finish

        hex_routine

text:
        .ascii  "0123456789abcdef"
