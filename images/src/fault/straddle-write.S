# fault/straddle-write.bin16, straddle-write.bin32, straddle-write.bin64, straddle-write-user.bin64
#   does     stores 4 bytes at BAD - 2, half of them in the page before BAD, and prints them
#   stdout   44332211
#   fault    write of 2 bytes at BAD

        .include "fault/fault.inc"

        begin
        mov     dword ptr es:[bad - 2], 0x44332211
        mov     eax, es:[bad - 2]
        say
        finish

        hex_routine
