# fault/read.bin16, read.bin32, read.bin64, read-user.bin64
#   does     loads 4 bytes from BAD + 8 and prints them
#   stdout   00000000
#   fault    read of 4 bytes at BAD + 8

        .include "fault/fault.inc"

        begin
        mov     eax, es:[bad + 8]
        say
        finish

        hex_routine
