# fault/straddle.bin16, straddle.bin32, straddle.bin64, straddle-user.bin64
#   does     loads 4 bytes from BAD - 2, half of which are in the page before BAD, and prints them
#   stdout   00001122
#   fault    read of 2 bytes at BAD

        .include "fault/fault.inc"

        begin
        mov     word ptr es:[bad - 2], 0x1122
        mov     eax, es:[bad - 2]
        say
        finish

        hex_routine
