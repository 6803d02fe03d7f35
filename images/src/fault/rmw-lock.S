# fault/rmw-lock.bin16, rmw-lock.bin32, rmw-lock.bin64, rmw-lock-user.bin64
#   does     adds 1 to 4 bytes at BAD + 8 with LOCK INC and prints them
#   stdout   00000001
#   fault    write of 4 bytes at BAD + 8; an emulator may see the read first

        .include "fault/fault.inc"

        begin
        lock inc dword ptr es:[bad + 8]
        mov     eax, es:[bad + 8]
        say
        finish

        hex_routine
