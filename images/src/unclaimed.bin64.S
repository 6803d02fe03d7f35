# unclaimed.bin64
#   does     writes and then reads 1, 2 and 4 bytes at port 0x1234, which no device claims, and prints
#            what it read
#   stdout   port ff ffff ffffffff
#   ends     HLT: outcome halt, exit code 0; an unhandled exit (28) if unclaimed I/O is to stop the run
#   exits    6 IO at 0x1234 (OUT 0x11, 0x2222, 0x33333333; then the INs), 22 IO (OUT to 0x3f8), 1 HLT

        .include "guest.inc"
        .include "hex.inc"

        .globl  _start
_start:
        mov     dx, UNCLAIMED
        mov     al, 0x11
        out     dx, al
        mov     eax, 0x2222
        out     dx, ax
        mov     eax, 0x33333333
        out     dx, eax

        xor     eax, eax
        in      al, dx
        mov     edi, eax
        xor     eax, eax
        in      ax, dx
        mov     ebp, eax
        xor     eax, eax
        in      eax, dx
        mov     r8d, eax

        puts    "port "
        mov     eax, edi
        hex     2
        puts    " "
        mov     eax, ebp
        hex     4
        puts    " "
        mov     eax, r8d
        hex     8
        puts    "\n"
        halt

        hex_routine
