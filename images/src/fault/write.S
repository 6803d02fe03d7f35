# fault/write.bin16, write.bin32, write.bin64, write-user.bin64
#   does     stores 4 bytes at BAD + 8, loads them again and prints them
#   stdout   0000005a
#   fault    write of 4 bytes at BAD + 8

        .include "fault/fault.inc"

        begin
        mov     dword ptr es:[bad + 8], 0x5a
        mov     eax, es:[bad + 8]
        say
        finish

        hex_routine
